"""`/v1/models`: the provider's base models, and what the project's own jobs have made. Ids hold colons and slashes."""

from fastapi import APIRouter

from api.auth.deps import CallerDep, SessionDep
from api.auth.scopes import scope
from shared.jobs import tuned_models
from shared.jobs.schemas import ModelDeleted, ModelList, ModelPublic

router = APIRouter(prefix="/v1/models", tags=["Models"], dependencies=[scope("models")])


@router.get("", response_model=ModelList)
def list_models(session: SessionDep, caller: CallerDep) -> ModelList:
    """Base models that may be tuned, then the project's own tuned models, newest first."""
    return ModelList(data=tuned_models.list_models(session, caller.project_id))


@router.get("/{model:path}", response_model=ModelPublic)
def retrieve_model(session: SessionDep, caller: CallerDep, model: str) -> ModelPublic:
    """One model. `shutdown_date` is the day on which it, or the base of a tuned one, stops."""
    return tuned_models.get_model(session, caller.project_id, model)


@router.delete("/{model:path}", response_model=ModelDeleted)
def delete_model(session: SessionDep, caller: CallerDep, model: str) -> ModelDeleted:
    """Delete a tuned model here and, in the background, at the provider."""
    tuned_models.delete_model(session, caller.project_id, model)
    return ModelDeleted(id=model)
