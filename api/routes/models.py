"""`/v1/models`: the providers' base models and the project's tuned models. Model ids may contain `:` and `/`."""

from typing import Literal

import msgspec
from fastapi.responses import Response
from pydantic import BaseModel

from api.auth.deps import CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.router import Router
from shared.deployments import ends
from shared.jobs import model_list, tuned_models
from shared.jobs.names.schemas import ModelPublic

router = Router(prefix="/v1/models", tags=["Models"], dependencies=[scope("models")])


class ModelList(BaseModel):
    """All models at once: OpenAI's list of them has no pages."""

    object: Literal["list"] = "list"
    data: list[ModelPublic]


class ModelDeleted(BaseModel):
    id: str
    object: Literal["model"] = "model"
    deleted: Literal[True] = True


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

    Errors: 403 for a base model, 400 `model_in_use` while it is deployed or a job waits to tune it further.
    """
    ends.delete_model(session, caller.project_id, model)
    return ModelDeleted(id=model)
