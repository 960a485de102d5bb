"""Spend limits, spend alerts and approvals of projects, for admin keys."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
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

router = Router(
    prefix="/v1/organization/projects/{project_id}",
    tags=["Administration"],
    dependencies=[admin_scope("limits")],
    route_class=IdempotentAdminRoute,
)


@router.get("/spend_limit", response_model=SpendLimitPublic)
def retrieve_spend_limit(session: OrganizationSessionDep, project_id: str) -> SpendLimitPublic:
    """Return the project's monthly limit, and how much of it is spent and reserved. Errors: 404 if there is none."""
    return limits.get_spend_limit(session, project_id)


@router.post("/spend_limit", response_model=SpendLimitPublic)
def update_spend_limit(session: OrganizationSessionDep, project_id: str, new: SpendLimitUpdate) -> SpendLimitPublic:
    """Set or replace the monthly limit. From now on, jobs whose estimate exceeds what is left are refused."""
    return limits.set_spend_limit(session, project_id, new.threshold_amount, new.alert_percentages)


@router.delete("/spend_limit", response_model=SpendLimitDeleted)
def delete_spend_limit(session: OrganizationSessionDep, project_id: str) -> SpendLimitDeleted:
    """Remove the project's monthly limit. Errors: 404 if there is none."""
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
    """List the project's spend alerts, newest first unless `order` is `asc`."""
    rows = alerts.list_alerts(session, project_id, after=after, before=before, ascending=order == "asc", limit=limit)
    return Page.of([SpendAlertPublic.of(row) for row in rows], limit)


@router.post("/spend_alerts", response_model=SpendAlertPublic)
def create_spend_alert(session: OrganizationSessionDep, project_id: str, new: SpendAlertUpdate) -> SpendAlertPublic:
    """Create a spend alert: an e-mail, once a month, when spent plus reserved money reaches an amount.

    Errors: 400 `too_many_spend_alerts` if the project has 20.
    """
    return SpendAlertPublic.of(alerts.create(session, project_id, new))


@router.get("/spend_alerts/{alert_id}", response_model=SpendAlertPublic)
def retrieve_spend_alert(session: OrganizationSessionDep, project_id: str, alert_id: str) -> SpendAlertPublic:
    """Return a spend alert."""
    return SpendAlertPublic.of(alerts.get(session, project_id, alert_id))


@router.post("/spend_alerts/{alert_id}", response_model=SpendAlertPublic)
def update_spend_alert(
    session: OrganizationSessionDep, project_id: str, alert_id: str, new: SpendAlertUpdate
) -> SpendAlertPublic:
    """Replace a spend alert. If its amount changes, it is sent again this month when that is reached."""
    return SpendAlertPublic.of(alerts.update(session, project_id, alert_id, new))


@router.delete("/spend_alerts/{alert_id}", response_model=SpendAlertDeleted)
def delete_spend_alert(session: OrganizationSessionDep, project_id: str, alert_id: str) -> SpendAlertDeleted:
    """Delete a spend alert."""
    alerts.delete(session, project_id, alert_id)
    return SpendAlertDeleted(id=alert_id)


@router.get("/approval_limit", response_model=ApprovalLimitPublic)
def retrieve_approval_limit(session: OrganizationSessionDep, project_id: str) -> ApprovalLimitPublic:
    """Return the amount above which a job waits for approval. Errors: 404 if there is none."""
    return limits.get_approval_limit(session, project_id)


@router.post("/approval_limit", response_model=ApprovalLimitPublic)
def update_approval_limit(
    session: OrganizationSessionDep, project_id: str, new: ApprovalLimitUpdate
) -> ApprovalLimitPublic:
    """Make new jobs wait for approval if their estimate is above this amount or unknown."""
    return limits.set_approval_limit(session, project_id, new.threshold_amount)


@router.delete("/approval_limit", response_model=ApprovalLimitDeleted)
def delete_approval_limit(session: OrganizationSessionDep, project_id: str) -> ApprovalLimitDeleted:
    """Let new jobs start without approval. Jobs that already wait go on waiting. Errors: 404 if there is none."""
    limits.delete_approval_limit(session, project_id)
    return ApprovalLimitDeleted()


class Rejection(BaseModel):
    """`reason` is shown to the project as the job's error."""

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
    """List the project's jobs, newest first; `approval=awaited` returns those that wait for approval."""
    rows = approvals.list_jobs(session, project_id, approval, after=after, limit=limit)
    return Page.of([JobPublic.of(row) for row in rows], limit)


@router.post("/jobs/{job_id}/approve", response_model=JobPublic)
def approve_job(session: OrganizationSessionDep, project_id: str, job_id: str) -> JobPublic:
    """Approve a job that waits for approval. Errors: 400 if it does not."""
    return JobPublic.of(approvals.approve(session, project_id, job_id))


@router.post("/jobs/{job_id}/reject", response_model=JobPublic)
def reject_job(
    session: OrganizationSessionDep, project_id: str, job_id: str, why: Rejection | None = None
) -> JobPublic:
    """Cancel a job that waits for approval, with an optional reason. Errors: 400 if it does not wait."""
    return JobPublic.of(approvals.reject(session, project_id, job_id, why.reason if why else None))
