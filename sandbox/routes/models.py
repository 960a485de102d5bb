"""`/v1/models`: lists, retrieves and deletes models."""

from fastapi import APIRouter
from starlette.responses import Response

from sandbox.errors import ApiError
from sandbox.models import BASES, find
from sandbox.state import StateDep
from sandbox.wire import answer, deleted

router = APIRouter(prefix="/v1/models")


@router.get("")
async def list_models(state: StateDep) -> Response:
    """All base models under all their names, then tuned models and checkpoints; not paged."""
    bases = [base.described(name) for name, base in sorted(BASES.items())]
    tuned = [tuned.model for tuned in state.models.values()]
    return answer({"object": "list", "data": bases + tuned})


@router.get("/{model}")
async def retrieve_model(model: str, state: StateDep) -> Response:
    return answer(find(state, model))


@router.delete("/{model}")
async def delete_model(model: str, state: StateDep) -> Response:
    """Deletes a tuned model. Raises ApiError 403 for a base model."""
    find(state, model)
    if model in BASES:
        raise ApiError(403, "Only fine-tuned models can be deleted, by an owner of their organization.", param="model")
    del state.models[model]
    return deleted("model", model)
