"""Decides when a job at the provider is polled next, and whether the poll must ask for its status."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import case, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.db.times import utc_now
from shared.jobs.models import IS_AT_PROVIDER, Job, JobStatus, Watch
from shared.jobs.transitions import MOVES
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.providers.registry import status_of
from worker.runtime.steps import after

TURNS_OF_QUIET_JOB = 2  # since its poll makes two calls: for the job, and for its events


def begin(session: Session, credential_id: str) -> None:
    """A job was created at this account: let its watch read the list soon. A step under way is not disturbed."""
    soon = after(get_settings().poll_every)
    new = Watch(credential_id=credential_id, due_at=soon, enqueued_at=None)
    sooner = func.least(func.coalesce(col(Watch.due_at), soon), soon)
    told = insert(Watch).values(**new.model_dump())
    values = {"changed_at": utc_now(), "due_at": case((col(Watch.failures) == 0, sooner), else_=col(Watch.due_at))}
    session.exec(told.on_conflict_do_update(index_elements=["credential_id"], set_=values))


def is_behind(session: Session, job: Job) -> bool:
    """Whether a poll must ask for the status too.

    So it must if something new is known to be there, or the list was last read long before the poll that brought the
    last news. A job without news is asked for by its id, whatever the list says: some providers move it only then.
    """
    if job.provider_status is None or _is_quiet(job):
        return True
    credential = session.get_one(Credential, job.credential_id)
    if (job.status, status_of(credential, job.provider_status)) in MOVES:
        return True
    settings = get_settings()
    recent = min(max(_age(job), 2 * settings.poll_every), 2 * settings.poll_ceiling)
    listed_at = session.exec(select(Watch.listed_at).where(Watch.credential_id == job.credential_id)).first()
    return listed_at is None or listed_at < utc_now() - recent


def next_poll_at(session: Session, job: Job, *, is_new: bool) -> datetime:
    """When to poll a job again: soon after something new, then after twice as long each time.

    While the list shows the status of jobs, those without news, and those that do not train, take turns.
    """
    watch = session.exec(select(Watch).where(Watch.credential_id == job.credential_id)).first()
    if watch is None or watch.due_at is None:
        begin(session, job.credential_id)
    settings = get_settings()
    wait = min(max(_age(job), settings.poll_every), settings.poll_ceiling)
    if watch is None or not is_listed(watch):
        return after(wait if is_new else jitter(wait))
    if job.status is JobStatus.RUNNING:
        return after(wait) if is_new else max(after(jitter(wait)), _book(session, watch, job))
    return max(after(jitter(settings.poll_ceiling)), _book(session, watch, job))


def _is_quiet(job: Job) -> bool:
    """Whether nothing was new for so long that the last polls came at almost their longest interval."""
    return _age(job) >= get_settings().poll_ceiling / 2


def _age(job: Job) -> timedelta:
    return utc_now() - (job.changed_at or job.created_at)


def jitter(wait: timedelta) -> timedelta:
    return wait * (0.9 + 0.2 * secrets.randbelow(1001) / 1000)


def _apart() -> timedelta:
    """The time between two turns of jobs without news, for all jobs of an account together."""
    return timedelta(minutes=1) / get_settings().quiet_polls_per_minute


def is_listed(watch: Watch) -> bool:
    return watch.listed_at is not None and watch.listed_at > utc_now() - 2 * get_settings().poll_ceiling


_BOOK = text("""
UPDATE watches SET next_poll_at = greatest(next_poll_at, :now) + :apart WHERE id = :id RETURNING next_poll_at
""")


def _book(session: Session, watch: Watch, job: Job) -> datetime:
    """The next free turn to poll a job without news: jobs keep the order in which they come."""
    apart = _apart() * (TURNS_OF_QUIET_JOB if _is_quiet(job) else 1)
    found = session.connection().execute(_BOOK, {"id": watch.id, "now": utc_now(), "apart": apart}).scalar_one()
    assert isinstance(found, datetime)
    return found


_SOONER = text(f"""
UPDATE jobs SET due_at = CAST(:now AS timestamptz) + random() * CAST(:longest AS interval)
WHERE id IN (
    SELECT id FROM jobs
    WHERE credential_id = :credential AND {IS_AT_PROVIDER} AND failures = 0 AND retries = 0 AND due_at > :latest
    FOR NO KEY UPDATE SKIP LOCKED
)
""")


def let_none_wait_too_long(session: Session, watch: Watch, count: int) -> None:
    """Bring forward turns that were taken when there were more jobs."""
    now, longest = utc_now(), max(get_settings().poll_ceiling, count * TURNS_OF_QUIET_JOB * _apart())
    if watch.next_poll_at is not None and watch.next_poll_at > now + longest:
        watch.next_poll_at = now + longest
    values = {"credential": watch.credential_id, "now": now, "longest": longest, "latest": now + 1.5 * longest}
    session.connection().execute(_SOONER, values)
