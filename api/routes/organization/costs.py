"""Costs (OpenAI's endpoint), usage and the ledger of projects, for admin keys."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from api.auth.deps import After, OrganizationSessionDep
from api.auth.scopes import admin_scope
from api.http.router import Router
from api.idempotency import IdempotentAdminRoute
from shared.budgets import costs, ledger
from shared.budgets.costs import CostPage, GroupBy
from shared.budgets.schemas import AdjustmentCreate, LedgerEntryPublic
from shared.db.pages import Page
from shared.db.times import from_epoch, utc_now
from shared.errors import Invalid
from shared.inference import usage as inference
from shared.inference.usage import CompletionsUsagePage
from shared.jobs.spending import reservation, usage
from shared.jobs.spending.usage import Usage
from shared.json_fields import Pattern

router = Router(
    prefix="/v1/organization",
    tags=["Administration"],
    dependencies=[admin_scope("costs")],
    route_class=IdempotentAdminRoute,
)

Name = Annotated[str, Field(max_length=256)]
NextPage = Annotated[
    Annotated[str, Pattern("page_[0-9]{1,10}", "Send the next_page of the page before, such as page_7")] | None, Query()
]
Seconds = Annotated[int, Query(ge=0, lt=2**33, description="Unix seconds")]


@router.get("/costs", response_model=CostPage)
def list_costs(
    session: OrganizationSessionDep,
    start_time: Seconds,
    end_time: Seconds | None = None,
    bucket_width: Literal["1d"] = "1d",
    group_by: Annotated[list[GroupBy] | None, Query(alias="group_by[]", max_length=2)] = None,
    project_ids: Annotated[list[Name] | None, Query(alias="project_ids[]", max_length=100)] = None,
    line_items: Annotated[list[Name] | None, Query(alias="line_items[]", max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=180)] = 7,
    page: NextPage = None,
) -> CostPage:
    """List costs by day (UTC), oldest first, from `start_time` until before `end_time` (default: now).

    `group_by[]` splits each day by `project_id`, `line_item` or both. A job's cost counts on the day on which it ended.
    Errors: 400 `unknown_parameter` for a filter of OpenAI's that is not supported.
    """
    start, end = _period(start_time, end_time, page)
    wanted = costs.CostFilter(group_by or (), project_ids or (), line_items or ())
    return costs.page(session, wanted, start, end, limit)


@router.get("/usage/completions", response_model=CompletionsUsagePage)
def list_completions_usage(
    session: OrganizationSessionDep,
    start_time: Seconds,
    end_time: Seconds | None = None,
    bucket_width: Literal["1d"] = "1d",
    group_by: Annotated[list[inference.GroupBy] | None, Query(alias="group_by[]", max_length=2)] = None,
    project_ids: Annotated[list[Name] | None, Query(alias="project_ids[]", max_length=100)] = None,
    models: Annotated[list[Name] | None, Query(alias="models[]", max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=31)] = 7,
    page: NextPage = None,
) -> CompletionsUsagePage:
    """List the tokens of chats, completions and responses by whole days (UTC), oldest first, as answers counted them.

    `group_by[]` splits each day by `project_id`, `model` or both. An answer that does not say what it used counts
    nothing. Errors: 400 `unknown_parameter` for a filter of OpenAI's that is not supported.
    """
    start, end = _period(start_time, end_time, page)
    wanted = inference.UsageFilter(group_by or (), project_ids or (), models or ())
    return inference.page(session, wanted, start, end, limit)


def _period(start_time: int, end_time: int | None, page: str | None) -> tuple[datetime, datetime | None]:
    """The times of a list of days; a later page starts later. Raises `Invalid`."""
    start = max(from_epoch(start_time), from_epoch(int((page or "page_0").removeprefix("page_"))))
    end = from_epoch(end_time) if end_time is not None else None
    if end is not None and end <= start:
        raise Invalid("end_time must be after start_time", param="end_time")
    return start, end


@router.get("/projects/{project_id}/usage", response_model=Usage)
def retrieve_usage(
    session: OrganizationSessionDep, project_id: str, start_time: Seconds | None = None, end_time: Seconds | None = None
) -> Usage:
    """Return a project's usage from `start_time` (default: start of the month, UTC) until `end_time` (default: now)."""
    now = utc_now()
    start = from_epoch(start_time) if start_time is not None else usage.start_of_month(now)
    end = from_epoch(end_time) if end_time is not None else now
    if end <= start:
        raise Invalid("end_time must be after start_time", param="end_time")
    return usage.of_project(session, project_id, start, end)


@router.get("/projects/{project_id}/ledger", response_model=Page[LedgerEntryPublic])
def list_ledger_entries(
    session: OrganizationSessionDep,
    project_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    job_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[LedgerEntryPublic]:
    """List the ledger entries of a project, or of one job, newest first."""
    rows = ledger.list_entries(session, project_id, job_id, after=after, limit=limit)
    return Page.of([LedgerEntryPublic.of(row) for row in rows], limit)


@router.post("/projects/{project_id}/ledger", response_model=LedgerEntryPublic)
def create_adjustment(session: OrganizationSessionDep, project_id: str, new: AdjustmentCreate) -> LedgerEntryPublic:
    """Add a correction to what the project has spent this month, for example to match the provider's bill."""
    return LedgerEntryPublic.of(reservation.adjust(session, project_id, new.job_id, Decimal(new.amount), new.reason))
