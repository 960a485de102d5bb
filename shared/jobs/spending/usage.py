"""Sums up what a project has used in a period: jobs, tokens, bytes and money."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel
from sqlmodel import Session, col, func, select

from shared.budgets import ledger
from shared.budgets.amounts import text_of
from shared.budgets.costs import day_of
from shared.budgets.models import CURRENCY, LedgerEntry
from shared.datasets.models import Dataset
from shared.db.times import epoch, utc_now
from shared.jobs.models import Job, JobStatus
from shared.projects import service as projects


class JobCounts(BaseModel):
    """The jobs that were created in the period, by their present status."""

    created: int
    active: int
    succeeded: int
    failed: int
    cancelled: int


class Usage(BaseModel):
    """`trained_tokens` are those of the jobs created in the period. `files` and `bytes` are what is stored now.

    `cost` was spent in the period; `reserved` is kept now for jobs that have not ended. Both are decimals as strings.
    """

    object: Literal["project.usage"] = "project.usage"
    project_id: str
    start_time: int
    end_time: int
    jobs: JobCounts
    trained_tokens: int
    files: int
    bytes: int
    cost: str
    reserved: str
    currency: str


def this_month(session: Session, project_id: str) -> Usage:
    """Return the usage of the calendar month (UTC) until now. Raises `NotFound`."""
    now = utc_now()
    return of_project(session, project_id, start_of_month(now), now)


def start_of_month(time: datetime) -> datetime:
    return day_of(time).replace(day=1)


def of_project(session: Session, project_id: str, start: datetime, end: datetime) -> Usage:
    """Return the usage from `start` (included) to `end` (excluded). Raises `NotFound`."""
    projects.get_project(session, project_id)
    jobs, tokens = _jobs(session, project_id, start, end)
    stored = select(func.count(), func.coalesce(func.sum(Dataset.bytes), 0)).where(
        Dataset.project_id == project_id, col(Dataset.deleted_at).is_(None)
    )
    files, size = session.exec(stored).one()
    cost, reserved = _money(session, project_id, start, end)
    return Usage(
        project_id=project_id,
        start_time=epoch(start),
        end_time=epoch(end),
        jobs=jobs,
        trained_tokens=tokens,
        files=files,
        bytes=int(size),
        cost=text_of(cost),
        reserved=text_of(reserved),
        currency=CURRENCY,
    )


def _jobs(session: Session, project_id: str, start: datetime, end: datetime) -> tuple[JobCounts, int]:
    query = (
        select(Job.status, func.count(), func.coalesce(func.sum(Job.trained_tokens), 0))
        .where(Job.project_id == project_id, Job.created_at >= start, Job.created_at < end)
        .group_by(col(Job.status))
    )
    found = {status: (count, int(tokens or 0)) for status, count, tokens in session.exec(query)}
    counts = {status: found.get(status, (0, 0))[0] for status in JobStatus}
    return JobCounts(
        created=sum(counts.values()),
        active=sum(count for status, count in counts.items() if not status.is_final),
        succeeded=counts[JobStatus.SUCCEEDED],
        failed=counts[JobStatus.FAILED],
        cancelled=counts[JobStatus.CANCELLED],
    ), sum(tokens for _, tokens in found.values())


def _money(session: Session, project_id: str, start: datetime, end: datetime) -> tuple[Decimal, Decimal]:
    its = LedgerEntry.project_id == project_id, LedgerEntry.currency == CURRENCY
    amount = func.coalesce(func.sum(LedgerEntry.amount), 0)
    in_time = LedgerEntry.created_at >= start, LedgerEntry.created_at < end
    spent = session.exec(select(amount).where(*its, *in_time, col(LedgerEntry.kind).in_(ledger.COSTS))).one()
    reserved = session.exec(select(amount).where(*its, col(LedgerEntry.kind).in_(ledger.ESTIMATED))).one()
    return Decimal(spent), Decimal(reserved)
