"""What a project may spend: limit, alerts and approvals, managed with an admin key."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.idempotency import IdempotentAdminRoute
from shared.budgets import alerts, limits
from shared.budgets.schemas import (
    ApprovalLimitDeleted,
    ApprovalLimitPublic,
    ApprovalLimitUpdate,
    SpendAlertDeleted,
    SpendAlertPublic,
    SpendAlertUpdate,
    SpendLimitDeleted,
    SpendLimitPublic,
    SpendLimitUpdate,
)
from shared.db.pages import Page
from shared.jobs import approval as approvals
from shared.jobs.models import Approval
from shared.jobs.schemas import JobPublic

router = APIRouter(
    prefix="/v1/organization/projects/{project_id}",
    tags=["Administration"],
    dependencies=[admin_scope("limits")],
    route_class=IdempotentAdminRoute,
)


@router.get("/spend_limit", response_model=SpendLimitPublic)
def retrieve_spend_limit(session: OrganizationSessionDep, project_id: str) -> SpendLimitPublic:
    """The project's monthly limit, and how much of it is spent and reserved. Without one it is not found."""
    return limits.get_spend_limit(session, project_id)


@router.post("/spend_limit", response_model=SpendLimitPublic)
def update_spend_limit(session: OrganizationSessionDep, project_id: str, new: SpendLimitUpdate) -> SpendLimitPublic:
    """Set or replace the monthly limit. Jobs whose estimate does not fit are refused from now on."""
    return limits.set_spend_limit(session, project_id, new.threshold_amount, new.alert_percentages)


@router.delete("/spend_limit", response_model=SpendLimitDeleted)
def delete_spend_limit(session: OrganizationSessionDep, project_id: str) -> SpendLimitDeleted:
    """Let the project spend without a limit."""
    limits.delete_spend_limit(session, project_id)
    return SpendLimitDeleted()


@router.get("/spend_alerts", response_model=Page[SpendAlertPublic])
def list_spend_alerts(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    before: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> Page[SpendAlertPublic]:
    """The project's spend alerts, newest first."""
    rows = alerts.list_alerts(session, project_id, after=after, before=before, ascending=order == "asc", limit=limit)
    return Page.of([SpendAlertPublic.of(row) for row in rows], limit)


@router.post("/spend_alerts", response_model=SpendAlertPublic)
def create_spend_alert(session: OrganizationSessionDep, project_id: str, new: SpendAlertUpdate) -> SpendAlertPublic:
    """Let these addresses be told, once a month, when what is spent and reserved reaches an amount."""
    return SpendAlertPublic.of(alerts.create(session, project_id, new))


@router.get("/spend_alerts/{alert_id}", response_model=SpendAlertPublic)
def retrieve_spend_alert(session: OrganizationSessionDep, project_id: str, alert_id: str) -> SpendAlertPublic:
    """One spend alert."""
    return SpendAlertPublic.of(alerts.get(session, project_id, alert_id))


@router.post("/spend_alerts/{alert_id}", response_model=SpendAlertPublic)
def update_spend_alert(
    session: OrganizationSessionDep, project_id: str, alert_id: str, new: SpendAlertUpdate
) -> SpendAlertPublic:
    """Replace a spend alert. Another amount is told of again."""
    return SpendAlertPublic.of(alerts.update(session, project_id, alert_id, new))


@router.delete("/spend_alerts/{alert_id}", response_model=SpendAlertDeleted)
def delete_spend_alert(session: OrganizationSessionDep, project_id: str, alert_id: str) -> SpendAlertDeleted:
    """End a spend alert."""
    alerts.delete(session, project_id, alert_id)
    return SpendAlertDeleted(id=alert_id)


@router.get("/approval_limit", response_model=ApprovalLimitPublic)
def retrieve_approval_limit(session: OrganizationSessionDep, project_id: str) -> ApprovalLimitPublic:
    """The amount above which a job waits for an approval. Without one it is not found."""
    return limits.get_approval_limit(session, project_id)


@router.post("/approval_limit", response_model=ApprovalLimitPublic)
def update_approval_limit(
    session: OrganizationSessionDep, project_id: str, new: ApprovalLimitUpdate
) -> ApprovalLimitPublic:
    """Let jobs that are estimated at more than this, or at nobody knows what, wait until they are approved."""
    return limits.set_approval_limit(session, project_id, new.threshold_amount)


@router.delete("/approval_limit", response_model=ApprovalLimitDeleted)
def delete_approval_limit(session: OrganizationSessionDep, project_id: str) -> ApprovalLimitDeleted:
    """Let no new job wait for an approval; those that wait go on waiting."""
    limits.delete_approval_limit(session, project_id)
    return ApprovalLimitDeleted()


class Rejection(BaseModel):
    """Why a job is not approved, for whoever asked for it."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str | None, Field(min_length=1, max_length=500)] = None


@router.get("/jobs", response_model=Page[JobPublic])
def list_project_jobs(
    session: OrganizationSessionDep,
    project_id: str,
    approval: Approval | None = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[JobPublic]:
    """The project's jobs, newest first: those that wait for an approval with `approval=awaited`."""
    rows = approvals.list_jobs(session, project_id, approval, after=after, limit=limit)
    return Page.of([JobPublic.of(row) for row in rows], limit)


@router.post("/jobs/{job_id}/approve", response_model=JobPublic)
def approve_job(session: OrganizationSessionDep, project_id: str, job_id: str) -> JobPublic:
    """Let a job go on that waits for an approval."""
    return JobPublic.of(approvals.approve(session, project_id, job_id))


@router.post("/jobs/{job_id}/reject", response_model=JobPublic)
def reject_job(
    session: OrganizationSessionDep, project_id: str, job_id: str, why: Rejection | None = None
) -> JobPublic:
    """Cancel a job that waits for an approval, with a reason."""
    return JobPublic.of(approvals.reject(session, project_id, job_id, why.reason if why else None))
