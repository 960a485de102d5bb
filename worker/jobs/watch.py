"""Watches all jobs of an account through the provider's list: one call per hundred jobs instead of several per job."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from shared.database import transaction
from shared.db.claims import make_due, release
from shared.db.times import utc_now
from shared.jobs.models import IS_AT_PROVIDER, Job, Watch
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.jobs.backpressure import open_credential, try_again
from worker.jobs.poll_schedule import is_listed, jitter, let_none_wait_too_long
from worker.providers.protocol import MAX_CLOCK_SKEW, ProviderJob
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError
from worker.runtime.steps import CLAIM_RETRY_SECONDS, Lease, Step, after, log

PAGE_INTERVAL = timedelta(seconds=0.5)  # the shortest average time between two pages of a long list
SLOWDOWN_DIVISOR = 4  # the list is read again after this part of the time since its last change
LIST_RETRY_CEILINGS = 10  # poll ceilings between two tries at a provider without a list


@dataclass(frozen=True)
class Known:
    """What is recorded of a job. `is_hot`: changed within two poll intervals. `is_unanswered`: its own polls fail."""

    job_id: str
    facts: tuple[str | None, int | None, str | None]
    estimated_finish: datetime | None
    is_hot: bool
    is_unanswered: bool


@dataclass(frozen=True)
class Plan:
    """`known` maps the provider's job ids; `oldest` is earlier than the creation of any of these jobs."""

    watch: Watch
    credential: Credential
    known: dict[str, Known]
    oldest: datetime


@dataclass
class Shown:
    """What the list shows of our jobs, by their ids: `changed` status, tokens or model; new `estimates` of the finish;
    `heard`: unanswered before and listed now; `missing`: not in the list. `finishes_at`: when the first is expected to.
    """

    began: datetime
    pages: int = 0
    changed: list[str] = field(default_factory=list)
    estimates: dict[str, datetime | None] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    finishes_at: datetime | None = None


def _plan(session: Session, watch: Watch) -> Plan | None:
    columns: tuple[Any, ...] = (
        Job.provider_job_id,
        Job.id,
        Job.provider_status,
        Job.estimated_finish_at,
        Job.trained_tokens,
        Job.fine_tuned_model,
        Job.changed_at,
        Job.unanswered_since,
        Job.created_at,
    )
    query = select(*columns).where(Job.credential_id == watch.credential_id, text(IS_AT_PROVIDER))
    rows = session.exec(query).all()
    if not rows:
        release(watch, None)
        return None
    hot = utc_now() - 2 * get_settings().poll_every
    known = {
        theirs: Known(
            id, (status, tokens, model), finish, changed_at is not None and changed_at > hot, unheard is not None
        )
        for theirs, id, status, finish, tokens, model, changed_at, unheard, _ in rows
    }
    oldest = min(row[-1] for row in rows) - MAX_CLOCK_SKEW
    return Plan(watch, open_credential(session, watch.credential_id), known, oldest)


def _call(plan: Plan) -> Shown:
    shown, unseen, pages_without_ours = Shown(utc_now()), dict(plan.known), 0
    for page in _pages(plan):
        ours = [(known, job) for job in page if (known := unseen.pop(job.id, None)) is not None]
        for known, job in ours:
            _compare(shown, known, job)
        shown.pages += 1
        pages_without_ours += not ours
        if pages_without_ours >= len(unseen) or _is_older(page, plan.oldest):  # polling the rest one by one costs less
            break
    shown.heard = [known.job_id for theirs, known in plan.known.items() if known.is_unanswered and theirs not in unseen]
    shown.missing = [known.job_id for known in unseen.values()]
    _enqueue_changed(shown)
    return shown


def _pages(plan: Plan) -> Iterator[list[ProviderJob]]:
    return Lease(plan.watch).through(get_provider(plan.credential).job_pages())


def _is_older(page: list[ProviderJob], time: datetime) -> bool:
    """Whether the page's last job, which is its oldest, was created before `time`; false if its time is unknown."""
    created_at = page[-1].created_at if page else None
    return created_at is not None and created_at < time


def _compare(shown: Shown, known: Known, job: ProviderJob) -> None:
    """A job whose change is known but not fetched is skipped: its next step is due already."""
    if known.facts[0] is None:
        return
    if job.facts != known.facts:
        shown.changed.append(known.job_id)
    elif job.estimated_finish != known.estimated_finish:
        shown.estimates[known.job_id] = job.estimated_finish
    overdue = shown.began - 2 * get_settings().poll_every  # what is later than this was estimated wrongly
    if job.estimated_finish is not None and job.estimated_finish > overdue:
        shown.finishes_at = min(shown.finishes_at or job.estimated_finish, job.estimated_finish)


def _record(session: Session, watch: Watch, plan: Plan, shown: Shown | StepError) -> None:
    if isinstance(shown, StepError):
        _record_error(session, watch, plan, shown)
        return
    watch.retries, watch.listed_at = 0, shown.began
    if shown.changed:
        watch.changed_at = utc_now()
    if shown.heard:
        session.connection().execute(_HEARD, {"ids": shown.heard})
    if shown.missing:
        _poll_singly(session, shown.missing)
    let_none_wait_too_long(session, watch, len(plan.known))
    release(watch, after(_wait(watch, plan, shown)))


def _wait(watch: Watch, plan: Plan, shown: Shown) -> timedelta:
    """Return the time until the list is read again: short after a change, then longer; longer for a long list.

    If more jobs are hot than the list has pages, reading the list costs fewer calls than polling each of them, so it is
    read at their poll interval. A list of one page is read twice in it, and when a job is expected to finish.
    """
    settings = get_settings()
    shortest = settings.poll_every / 2 if shown.pages == 1 else settings.poll_every
    wait = max(shortest, min((shown.pages - 1) * PAGE_INTERVAL, settings.poll_ceiling))
    if sum(known.is_hot for known in plan.known.values()) <= shown.pages:
        wait = max(wait, min((utc_now() - watch.changed_at) / SLOWDOWN_DIVISOR, settings.poll_ceiling))
    if shown.pages == 1 and shown.finishes_at is not None:
        wait = min(wait, max(shortest, shown.finishes_at - utc_now()))
    # half a sweep early: a due row waits that long on average for its wake-up message
    return jitter(wait) - min(settings.sweep_every, wait) / 2


def _enqueue_changed(shown: Shown) -> None:
    """Make the next step of each changed job due now. A locked job is tried again after a moment, since the list is
    read only much later.

    Uses transactions of its own: the one that records the list locks the watch's row, for which a job's step may wait.
    """
    remaining = {*shown.changed, *shown.estimates}
    for pause in (0, *CLAIM_RETRY_SECONDS):
        if not remaining:
            return
        time.sleep(pause)
        with transaction() as session:
            free = select(Job).where(col(Job.id).in_(remaining)).with_for_update(skip_locked=True, key_share=True)
            for job in session.exec(free).all():
                remaining.remove(job.id)
                _enqueue(session, job, shown)


def _enqueue(session: Session, job: Job, shown: Shown) -> None:
    """Make the job's next step due. A poll under way sees that, and polls again."""
    if job.status.is_final:
        return
    if job.id in shown.estimates:
        job.estimated_finish_at = shown.estimates[job.id]
    else:
        job.provider_status = None
    job.unanswered_since = None  # `_record` does this for listed jobs without a change
    make_due(session, job)


_HEARD = text("""
UPDATE jobs SET unanswered_since = NULL
WHERE id IN (SELECT id FROM jobs WHERE id = ANY(:ids) FOR NO KEY UPDATE SKIP LOCKED)
""")

_SINGLY = text("""
UPDATE jobs SET provider_status = NULL,
    due_at = least(due_at, CASE WHEN due_at > :latest THEN :now + random() * CAST(:ceiling AS interval) END)
WHERE id IN (
    SELECT id FROM jobs WHERE id = ANY(:ids) AND failures = 0 AND retries = 0 AND due_at IS NOT NULL
        AND (provider_status IS NOT NULL OR due_at > :latest)
    FOR NO KEY UPDATE SKIP LOCKED
)
""")


def _poll_singly(session: Session, job_ids: list[str]) -> None:
    """The list does not show these jobs: poll each within `poll_ceiling`, with its status."""
    ceiling, now = get_settings().poll_ceiling, utc_now()
    values = {"ids": job_ids, "now": now, "ceiling": ceiling, "latest": now + ceiling}
    session.connection().execute(_SINGLY, values)


def _record_error(session: Session, watch: Watch, plan: Plan, error: StepError) -> None:
    if error.retryable:
        try_again(session, watch, watch.credential_id, error)
    else:
        log.warning(
            "the provider does not list its jobs: each is polled by itself", code=error.code, reason=error.message
        )
        release(watch, after(LIST_RETRY_CEILINGS * get_settings().poll_ceiling))
    if not is_listed(watch):
        _poll_singly(session, [known.job_id for known in plan.known.values()])


def _give_up(_: Session, watch: Watch) -> None:
    release(watch, after(get_settings().poll_ceiling))


watch = Step(Watch, _plan, _call, _record, _give_up)
