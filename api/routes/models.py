"""`/v1/models`: the providers' base models and the project's tuned models. Model ids may contain `:` and `/`."""

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response

from api.auth.deps import CallerDep, SessionDep
from api.auth.scopes import scope
from shared.jobs import model_list, tuned_models
from shared.jobs.schemas import ModelDeleted, ModelList, ModelPublic

router = APIRouter(prefix="/v1/models", tags=["Models"], dependencies=[scope("models")])


@router.get("", response_model=ModelList)
def list_models(session: SessionDep, caller: CallerDep) -> Response:
    """List the base models that can be fine-tuned, then the project's own tuned models, newest first."""
    listed = {"object": "list", "data": model_list.list_models(session, caller.project_id)}
    return Response(msgspec.json.encode(listed), media_type="application/json")


@router.get("/{model:path}", response_model=ModelPublic)
def retrieve_model(session: SessionDep, caller: CallerDep, model: str) -> ModelPublic:
    """Return a model, or a checkpoint that can be used as one.

    `shutdown_date` is the day on which the model, or the base model of a tuned one, is shut down.
    """
    return tuned_models.get_model(session, caller.project_id, model)


@router.delete("/{model:path}", response_model=ModelDeleted)
def delete_model(session: SessionDep, caller: CallerDep, model: str) -> ModelDeleted:
    """Delete a tuned model of the project and, in the background, at the provider.

    Errors: 403 for a base model, 400 `model_in_use` while a job waits to tune it further.
    """
    tuned_models.delete_model(session, caller.project_id, model)
    return ModelDeleted(id=model)
