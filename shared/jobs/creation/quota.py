"""Limits how many jobs a project may create in 24 hours and have open; exact, since counted under a lock."""

from datetime import datetime, timedelta

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from shared.db.ids import first_id
from shared.db.times import utc_now
from shared.errors import JobLimitReached
from shared.jobs.models import IS_OPEN, Job
from shared.projects import rate_limits

DAY = timedelta(days=1)


def check(session: Session, project_id: str) -> None:
    """Raises `JobLimitReached` if the project may not create another job. Locks only projects with a limit."""
    limits = rate_limits.of_project(session, project_id)
    if (limits.open_jobs, limits.jobs_per_day) == (None, None):
        return
    one_at_a_time = func.pg_advisory_xact_lock(func.hashtextextended(f"jobs of {project_id}", 0))
    session.exec(select(one_at_a_time))
    if limits.open_jobs is not None:
        _check_open(session, project_id, limits.open_jobs)
    if limits.jobs_per_day is not None:
        _check_day(session, project_id, limits.jobs_per_day)


def _check_open(session: Session, project_id: str, limit: int) -> None:
    some = select(Job.id).where(Job.project_id == project_id, text(IS_OPEN)).limit(limit).subquery()
    if session.exec(select(func.count()).select_from(some)).one() >= limit:
        raise JobLimitReached(
            f"The project has {limit} jobs that have not ended, which is its limit: wait for one, or cancel one",
            retry_after=None,
            code="open_jobs_limit_exceeded",
        )


def _check_day(session: Session, project_id: str, limit: int) -> None:
    """Counts any 24 hours, not a calendar day, so the error can say when the next job is accepted."""
    since = first_id(Job.id_prefix, utc_now() - DAY)
    query = select(Job.created_at).where(Job.project_id == project_id, Job.id >= since).order_by(col(Job.id).desc())
    nth = session.exec(query.offset(limit - 1).limit(1)).first() if limit else utc_now()
    if nth is not None:
        raise JobLimitReached(
            f"The project has created {limit} jobs in 24 hours, which is its limit: the next is accepted "
            f"{_at(nth + DAY)}",
            retry_after=max(1, round((nth + DAY - utc_now()).total_seconds())),
        )


def _at(time: datetime) -> str:
    return f"at {time:%Y-%m-%d %H:%M:%S} UTC"
