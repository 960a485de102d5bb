"""Sums up what a project has used in a period: jobs, tokens, bytes and money."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import CompoundSelect, text, union_all
from sqlmodel import Session, col, func, select

from shared.budgets import daily
from shared.budgets.amounts import text_of
from shared.budgets.daily import Period, day_of
from shared.budgets.models import CURRENCY, DailySum
from shared.datasets.models import ProjectStorage
from shared.db.owned import created_between
from shared.db.times import epoch, utc_now
from shared.jobs.models import IS_OPEN, Job, JobStatus
from shared.jobs.spending.models import DailyJobs
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
    period = Period(start, daily.until(end))
    jobs, tokens = _jobs(session, project_id, period)
    stored = select(ProjectStorage.files, ProjectStorage.bytes).where(ProjectStorage.project_id == project_id)
    files, size = session.exec(stored).one_or_none() or (0, 0)
    cost, reserved = _money(session, project_id, period)
    return Usage(
        project_id=project_id,
        start_time=epoch(start),
        end_time=epoch(end),
        jobs=jobs,
        trained_tokens=tokens,
        files=files,
        bytes=size,
        cost=text_of(cost),
        reserved=text_of(reserved),
        currency=CURRENCY,
    )


def _jobs(session: Session, project_id: str, period: Period) -> tuple[JobCounts, int]:
    found = dict.fromkeys(JobStatus, 0)
    tokens = 0
    for status, count, trained in session.execute(_counts(project_id, period)):
        found[JobStatus(status)] += int(count)
        tokens += int(trained)
    return JobCounts(
        created=sum(found.values()),
        active=sum(count for status, count in found.items() if not status.is_final),
        succeeded=found[JobStatus.SUCCEEDED],
        failed=found[JobStatus.FAILED],
        cancelled=found[JobStatus.CANCELLED],
    ), tokens


def _counts(project_id: str, period: Period) -> CompoundSelect[Any]:
    """Statuses, with jobs and tokens: in whole days those that have ended are counted by day. One statement, so that a
    job that ends meanwhile is counted once."""
    columns: list[Any] = [DailyJobs.status, DailyJobs.jobs, DailyJobs.trained_tokens]
    parts = [select(*columns).where(DailyJobs.project_id == project_id, period.has(DailyJobs.day))]
    its: list[Any] = [Job.status, func.count(), func.coalesce(func.sum(Job.trained_tokens), 0)]
    counted = select(*its).where(Job.project_id == project_id).group_by(col(Job.status))
    parts.append(counted.where(text(IS_OPEN), *created_between(Job, period.first, period.after)))
    parts += [counted.where(*created_between(Job, *part)) for part in period.rest]
    return union_all(*parts)


def _money(session: Session, project_id: str, period: Period) -> tuple[Decimal, Decimal]:
    costs = daily.costs_between(period.start, period.end).columns
    spent = select(func.coalesce(func.sum(costs.amount), 0))
    spent = spent.where(costs.project_id == project_id, costs.currency == CURRENCY)
    reserved = select(func.coalesce(func.sum(DailySum.amount), 0)).where(
        DailySum.project_id == project_id, DailySum.currency == CURRENCY, col(DailySum.is_reserved).is_(True)
    )
    return Decimal(session.exec(spent).one()), Decimal(session.exec(reserved).one())
