"""`/v0/models`: adapters that are deployed."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from sandbox import deployments
from sandbox.records import Deployment
from sandbox.wires.nebius.engine import SERVED_AS, NebiusDep, NebiusSandbox
from wire_server.answers import answer, deleted
from wire_server.errors import ApiError
from wire_server.records import new_id

_WORDS = {"starting": "validating", "ready": "active", "failed": "error", "stopped": "error"}
_LOOKS_WITHOUT_STATUS = 1

router = APIRouter(prefix="/v0/models")


class NewModel(BaseModel):
    source: str
    base_model: str
    name: str
    description: str | None = None


@router.post("")
async def create_model(new: NewModel, state: NebiusDep) -> Response:
    model = _model(state, new)
    name = f"{new.base_model}-LoRa:{new.name}-{new_id('', 4)}"
    return answer(_shown(deployments.create(state, name, new.name, model, name)))


def _model(state: NebiusSandbox, new: NewModel) -> str:
    """What the engine calls the model of this checkpoint."""
    job_id, _, checkpoint_id = new.source.partition(":")
    run = state.runs.get(job_id)
    saved = [each for each in run.checkpoints if each.id == checkpoint_id] if run else []
    if run is None or not saved:
        raise ApiError(404, f"There is no checkpoint {new.source}.", param="source")
    if SERVED_AS.get(run.base) != new.base_model or not run.hyperparameters["lora"]:
        message = f"An adapter of {run.base} cannot be served beside {new.base_model}."
        raise ApiError(400, message, code="invalid_value", param="base_model")
    return saved[0].fine_tuned_model_checkpoint


@router.get("")
async def list_models(state: NebiusDep) -> Response:
    data = [_shown(each) for each in deployments.listed(state)]
    return answer(data if state.lists_bare else {"object": "list", "data": data})


@router.get("/{name:path}")
async def retrieve_model(name: str, state: NebiusDep) -> Response:
    """The first answers about a new one do not say its status."""
    found = deployments.find(state, name)
    shown = _shown(found)
    if found.status == "starting" and found.word is None and state.looks[name] < _LOOKS_WITHOUT_STATUS:
        del shown["status"]
    state.looks[name] += 1
    return answer(shown)


@router.delete("/{name:path}")
async def delete_model(name: str, state: NebiusDep) -> Response:
    del state.deployments[deployments.find(state, name).id]
    return deleted("model", name)


def _shown(each: Deployment) -> dict[str, Any]:
    return {
        "name": each.id,
        "base_model": each.id.partition("-LoRa:")[0],
        "status": each.word or _WORDS[each.status],
        "status_reason": each.error,
        "created_at": int(each.created_at),
    }
