"""`/v1/models`: lists, retrieves and deletes models."""

from fastapi import APIRouter
from starlette.responses import Response

from wire_server.answers import answer, deleted
from wire_server.errors import ApiError
from wire_server.records import Model
from wire_server.state import State, StateDep

router = APIRouter(prefix="/v1/models")


def find(state: State, name: str) -> Model:
    """The model as the wire shows it. Raises ApiError 404 `model_not_found` if there is none of this name."""
    if base := state.bases().get(name):
        return base
    if tuned := state.tuned.get(name):
        return tuned.model
    message = f"The model '{name}' does not exist or you do not have access to it."
    raise ApiError(404, message, code="model_not_found", param="model")


@router.get("")
async def list_models(state: StateDep) -> Response:
    """All base models under all their names, then tuned models and checkpoints; not paged."""
    bases = [base for _, base in sorted(state.bases().items())]
    tuned = [tuned.model for tuned in state.tuned.values()]
    return answer({"object": "list", "data": bases + tuned})


@router.get("/{model:path}")
async def retrieve_model(model: str, state: StateDep) -> Response:
    return answer(find(state, model))


@router.delete("/{model:path}")
async def delete_model(model: str, state: StateDep) -> Response:
    """Deletes a tuned model. Raises ApiError 403 for a base model."""
    find(state, model)
    if model in state.bases():
        raise ApiError(403, "Only fine-tuned models can be deleted, by an owner of their organization.", param="model")
    state.delete_model(model)
    return deleted("model", model)
