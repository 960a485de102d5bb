"""`/v1/organization/…`: jobs, files, webhook endpoints, queues and failures of all projects, for admin keys."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Query
from sqlmodel import col

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from api.routes.filters import METADATA_PARAMETER, Conditions, CreatedInDep, job_filter
from shared.datasets.models import Dataset, DatasetStatus, Purpose
from shared.db.pages import Page
from shared.db.tables import Owned
from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.jobs.schemas import JobPublic
from shared.overview import accounts, due, failures, queues
from shared.overview.accounts import AccountState
from shared.overview.all_projects import FileOfProject, WebhookEndpointOfProject, list_all
from shared.overview.due import Due
from shared.overview.failures import Failure, FailureFilter, FailureKind
from shared.overview.queues import ModelQueue
from shared.webhooks.models import WebhookEndpoint

router = Router(
    prefix="/v1/organization",
    tags=["Administration"],
    dependencies=[admin_scope("activity")],
    route_class=IdempotentAdminRoute,
)

of_accounts = Router(
    prefix="/v1/organization",
    tags=["Administration"],
    dependencies=[admin_scope("credentials")],
    route_class=IdempotentAdminRoute,
)

Name = Annotated[str, Query(max_length=256)]
ProjectIds = Annotated[list[Name] | None, Query(max_length=100, description="Of these projects; may be repeated")]
Limit = Annotated[int, Query(ge=1, le=100)]


def _of_projects(model: type[Owned], project_ids: list[str] | None) -> list[Any]:
    return [] if project_ids is None else [col(model.project_id).in_(project_ids)]


@router.get("/jobs", response_model=Page[JobPublic], openapi_extra={"parameters": [METADATA_PARAMETER]})
def list_all_jobs(
    session: OrganizationSessionDep,
    where: Annotated[Conditions, Depends(job_filter)],
    project_id: ProjectIds = None,
    after: After = None,
    limit: Limit = 20,
) -> Page[JobPublic]:
    """List the jobs of all projects, newest first. Filters of different names all apply."""
    rows = list_all(session, Job, *where, *_of_projects(Job, project_id), after=after, limit=limit)
    return Page.of([JobPublic.of(row) for row in rows], limit)


@router.get("/files", response_model=Page[FileOfProject])
def list_all_files(
    session: OrganizationSessionDep,
    created_in: CreatedInDep,
    project_id: ProjectIds = None,
    status: Annotated[list[DatasetStatus] | None, Query(max_length=3, description="May be repeated")] = None,
    purpose: Purpose | None = None,
    filename: Annotated[str | None, Query(max_length=255, description="The whole name, as it was uploaded")] = None,
    after: After = None,
    limit: Limit = 20,
) -> Page[FileOfProject]:
    """List the files of all projects, newest first. Filters of different names all apply."""
    where = [*created_in(Dataset), *_of_projects(Dataset, project_id)]
    if status is not None:
        where.append(col(Dataset.status).in_(status))
    where += [] if purpose is None else [col(Dataset.purpose) == purpose]
    where += [] if filename is None else [col(Dataset.filename) == filename]
    rows = list_all(session, Dataset, *where, after=after, limit=limit)
    return Page.of([FileOfProject.of(row) for row in rows], limit)


class EndpointState(StrEnum):
    """`failing`: enabled, and the last attempt failed. `paused`: failing, and nothing is sent for now."""

    ENABLED = "enabled"
    FAILING = "failing"
    PAUSED = "paused"
    DISABLED = "disabled"


def endpoint_is_in(state: EndpointState) -> Any:
    match state:
        case EndpointState.DISABLED:
            return col(WebhookEndpoint.disabled_at).is_not(None)
        case EndpointState.ENABLED:
            return col(WebhookEndpoint.disabled_at).is_(None)
        case EndpointState.FAILING:
            return endpoint_is_in(EndpointState.ENABLED) & col(WebhookEndpoint.failing_since).is_not(None)
        case EndpointState.PAUSED:
            return endpoint_is_in(EndpointState.ENABLED) & (col(WebhookEndpoint.paused_until) > utc_now())


@router.get("/webhook_endpoints", response_model=Page[WebhookEndpointOfProject])
def list_all_webhook_endpoints(
    session: OrganizationSessionDep,
    created_in: CreatedInDep,
    project_id: ProjectIds = None,
    status: EndpointState | None = None,
    after: After = None,
    limit: Limit = 20,
) -> Page[WebhookEndpointOfProject]:
    """List the webhook endpoints of all projects, newest first; `status` finds those that fail, or are disabled."""
    where = [*created_in(WebhookEndpoint), *_of_projects(WebhookEndpoint, project_id)]
    where += [] if status is None else [endpoint_is_in(status)]
    rows = list_all(session, WebhookEndpoint, *where, after=after, limit=limit)
    return Page.of([WebhookEndpointOfProject.of(row) for row in rows], limit)


@router.get("/queues", response_model=Page[ModelQueue])
def list_queues(
    session: OrganizationSessionDep,
    project_id: ProjectIds = None,
    model: Annotated[list[Name] | None, Query(max_length=100, description="May be repeated")] = None,
    after: Annotated[str | None, Query(max_length=400, description="The last id of the page before this one")] = None,
    limit: Limit = 100,
) -> Page[ModelQueue]:
    """List how many jobs of each project and base model wait or run, sorted by project and model.

    A project reads its own in `GET /v1/project`.
    """
    found = [each for each in queues.list_queues(session, project_id, model) if after is None or each.id > after]
    return Page.of(found[: limit + 1], limit)


@router.get("/failures", response_model=Page[Failure])
def list_failures(
    session: OrganizationSessionDep,
    created_in: CreatedInDep,
    project_id: ProjectIds = None,
    kind: Annotated[list[FailureKind] | None, Query(max_length=3, description="May be repeated")] = None,
    after: After = None,
    limit: Limit = 20,
) -> Page[Failure]:
    """List the jobs, files and webhook deliveries of all projects that have failed, those created last first."""
    wanted = FailureFilter(kinds=kind, project_ids=project_id, created=created_in)
    return Page.of(failures.list_failures(session, wanted, after=after, limit=limit), limit)


@router.get("/due", response_model=Due)
def retrieve_due(session: OrganizationSessionDep) -> Due:
    """Return what waits for a worker in all projects, what is stuck, and whether the scheduler runs."""
    return due.due(session)


@of_accounts.get("/accounts", response_model=Page[AccountState])
def list_accounts(session: OrganizationSessionDep, after: After = None, limit: Limit = 20) -> Page[AccountState]:
    """List the accounts at providers of all projects and of the deployment, with errors and back-off, newest first."""
    return Page.of(accounts.list_accounts(session, after=after, limit=limit), limit)
