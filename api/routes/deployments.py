"""`/v1/deployments`: tuned models that are made callable, where the provider needs that."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from api import reads
from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.answer import answer
from api.http.router import Router
from api.idempotency import IdempotentRoute
from shared.db.pages import Page
from shared.deployments import service as deployments
from shared.deployments.models import Deployment, DeploymentStatus
from shared.deployments.schemas import DeploymentCreate, DeploymentPublic

router = Router(
    prefix="/v1/deployments", tags=["Deployments"], route_class=IdempotentRoute, dependencies=[scope("deployments")]
)


@router.post("", response_model=DeploymentPublic)
def create_deployment(session: SessionDep, caller: CallerDep, new: DeploymentCreate) -> DeploymentPublic:
    """Deploy a model of one of the project's jobs, so that it can be chatted with by its own name.

    It costs money by the hour until it is deleted, idle for too long, or the project's spend limit is reached.
    Errors: 400 `deployment_not_needed`, `model_already_deployed`, `cost_unknown`; 429 `quota_exceeded`,
    `project_spend_limit_exceeded`.
    """
    return DeploymentPublic.of(deployments.create(session, caller, new))


@router.get("", response_model=Page[DeploymentPublic])
async def list_deployments(
    caller: CallerDep,
    status: Annotated[DeploymentStatus | None, Query()] = None,
    model: Annotated[str | None, Query(max_length=256)] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """List the project's deployments, newest first, those that have ended included."""
    where = [Deployment.status == status] if status is not None else []
    where += [Deployment.model == model] if model is not None else []
    rows = await reads.page(Deployment, caller.project_id, *where, after=after, limit=limit)
    return await reads.answer_page(rows, DeploymentPublic.of, limit)


@router.get("/{deployment_id}", response_model=DeploymentPublic)
async def retrieve_deployment(caller: CallerDep, deployment_id: str) -> Response:
    """Return a deployment: its status, and why it stops or has failed."""
    row = await reads.one(Deployment, deployment_id, caller.project_id, param="deployment_id")
    return answer(DeploymentPublic.of(row))


@router.delete("/{deployment_id}", response_model=DeploymentPublic)
def delete_deployment(session: SessionDep, caller: CallerDep, deployment_id: str) -> DeploymentPublic:
    """Stop a deployment. It is `stopping`, and costs money, until the provider has ended it; then it is `stopped`."""
    return DeploymentPublic.of(deployments.delete(session, caller.project_id, deployment_id))
