"""Gives the free slots of a provider to jobs: a job takes one or waits, and the queue's step admits the next."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from shared.db.claims import make_due, release
from shared.db.row_security import across_projects
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobStatus, Priority, Slot
from shared.jobs.queue import slots
from shared.jobs.queue.models import JobQueue
from shared.projects.models import Project
from shared.settings import get_settings
from worker.jobs import fair_share
from worker.jobs.fair_share import Turn
from worker.providers.errors import ProviderError
from worker.runtime.errors import StepError
from worker.runtime.steps import Step, after, backoff, log

MAX_ADMISSIONS_PER_STEP = 100
MAX_RANKED_JOBS = 200  # those after them show no position
RANK_INTERVAL = timedelta(seconds=1)
ORDER_INTERVAL = timedelta(seconds=0.5)  # until it is seen again whether an older job asks for a slot
ADMIT_INTERVAL = timedelta(seconds=30)  # between steps without a wake-up, in case one is lost
MAX_FREED_TIMES = 20  # the latest slots that became free, from which `estimated_start_at` is computed
MAX_COUNTED_JOBS = 1000


def take(session: Session, job: Job) -> bool:
    """Give the job a free slot if no other job waits for one; else let it wait. Returns whether it has a slot."""
    if job.slot is Slot.HELD:
        return True
    queue = slots.queue_of(session, job)
    if job.slot is None:
        if queue.due_at is None and _is_free(session, queue, job):
            job.slot = Slot.HELD
            return True
        _say_why(session, job, queue)
    jobs.move(session, job, JobStatus.QUEUED)
    slots.wait(session, job)
    return False


def _is_free(session: Session, queue: JobQueue, job: Job) -> bool:
    """Whether a slot is free for it; false if a limit of active jobs applies, which only the queue's step checks."""
    of_all = get_settings().provider.max_active_jobs
    if of_all is not None or session.get_one(Project, job.project_id).max_active_jobs is not None:
        return False
    if slots.most(session, queue) is None:
        return True
    if fair_share.is_behind(session, job):
        return False
    if slots.locked(session, queue.id).due_at is not None:  # another job has begun to wait meanwhile
        return False
    reserve = _reserve(session, queue) if job.priority == Priority.LOW else 0
    return _free(session, queue, *_held(session, queue)) > reserve


def _held(session: Session, queue: JobQueue) -> tuple[int, int]:
    with across_projects(session):
        return fair_share.held(session, queue)


def _say_why(session: Session, job: Job, queue: JobQueue) -> None:
    """Add an event with the reason why the job waits; none if a slot is about to be free for it."""
    held, creating = _held(session, queue)
    with across_projects(session):
        waiting = fair_share.waiting(session, queue, MAX_COUNTED_JOBS)
    if waiting == 0 and _free(session, queue, held, creating) > 0:
        return
    others = f"{MAX_COUNTED_JOBS} or more" if waiting == MAX_COUNTED_JOBS else str(waiting)
    sentence = f"Waiting for a free slot at the provider: {queue.model} has {held} running and {others} waiting"
    refused = "; the provider accepts no more for now" if queue.provider_limit is not None else ""
    jobs.add_event(session, job, sentence + refused)


def is_full(error: ProviderError) -> bool:
    """Whether the provider accepts no more jobs for this model for now."""
    known = error.code in {"daily_rate_limit_exceeded", "active_job_limit_exceeded"}
    return error.status == 429 and (known or "has reached the maximum of" in error.message)


def step_back(session: Session, job: Job, error: StepError) -> None:
    """Handle a create that the provider refused because of its job limit: the job waits again, and the queue backs off.

    A limit of active jobs is the number of jobs that it has now, so the next is created when one ends. A daily limit
    means none until the back-off is over.
    """
    log.warning("the provider accepts no more jobs for now", row=job.id, code=error.code, reason=error.message)
    jobs.move(session, job, JobStatus.QUEUED)
    slots.wait(session, job)
    job.retries += 1
    queue = slots.locked(session, job.queue_id or "")
    held, creating = _held(session, queue)
    is_daily = error.code == "daily_rate_limit_exceeded" or "per day" in error.message
    queue.provider_limit = 0 if is_daily else held - creating
    queue.provider_limit_until = after(backoff(queue.retries, error.retry_after))
    queue.creates_one_at_a_time = True
    queue.retries += 1


def note_created(session: Session, job: Job) -> None:
    """Let the queue try the next job, if it creates one at a time after a refusal."""
    if job.queue_id is not None and session.get_one(JobQueue, job.queue_id).creates_one_at_a_time:
        queue = slots.locked(session, job.queue_id)
        queue.retries = 0
        make_due(session, queue)


def _plan(session: Session, queue: JobQueue) -> None:
    """Do the whole step here, since it makes no network call."""
    if queue.provider_limit_until is not None and queue.provider_limit_until <= utc_now():
        queue.provider_limit = queue.provider_limit_until = None
    held, creating = fair_share.held(session, queue)
    _note_freed(queue, held)
    free = _free(session, queue, held, creating)
    admitted = _admit(session, queue, free, _reserve(session, queue))
    queue.held = held + len(admitted)
    next_step_at = _next_step_at(session, queue, is_trying=queue.creates_one_at_a_time and creating + len(admitted) > 0)
    if next_step_at is not None and len(admitted) < free and fair_share.is_any_behind(session, queue):
        next_step_at = min(next_step_at, after(ORDER_INTERVAL))
    release(queue, next_step_at)
    if len(admitted) == MAX_ADMISSIONS_PER_STEP:
        make_due(session, queue)


def _free(session: Session, queue: JobQueue, held: int, creating: int) -> int:
    """Return how many jobs may be admitted now."""
    limits = [MAX_ADMISSIONS_PER_STEP]
    if (most := slots.most(session, queue)) is not None:
        limits.append(most - held)
    if queue.provider_limit is not None:
        limits.append(queue.provider_limit - held)
    if queue.creates_one_at_a_time:
        limits.append(1 - creating)
    return max(0, min(limits))


def _reserve(session: Session, queue: JobQueue) -> int:
    """Return how many slots jobs of low priority must leave free; at least one slot stays open to them."""
    most = slots.most(session, queue)
    return 0 if most is None else min(get_settings().provider.reserved_slots, most - 1)


def _admit(session: Session, queue: JobQueue, free: int, reserve: int) -> list[Turn]:
    admitted = _let_go(session, queue, fair_share.turns(session, queue, free - reserve))
    rest = min(reserve, free - len(admitted))
    return admitted + _let_go(session, queue, fair_share.turns(session, queue, rest, Priority.NORMAL))


def _let_go(session: Session, queue: JobQueue, turns: list[Turn]) -> list[Turn]:
    """Give slots to the jobs whose turn it is. A locked job is skipped: its change wakes this queue again."""
    if not turns:
        return []
    query = select(Job).where(
        col(Job.id).in_([turn.job_id for turn in turns]), Job.slot == Slot.WAITING, Job.status == JobStatus.QUEUED
    )
    found = {job.id: job for job in session.exec(query.with_for_update(skip_locked=True, key_share=True))}
    for job in found.values():
        job.slot, job.queue_position, job.estimated_start_at = Slot.HELD, None, None
        jobs.add_event(session, job, "A slot is free: the job goes to the provider")
        make_due(session, job)
    admitted = [turn for turn in turns if turn.job_id in found]
    fair_share.charge(session, queue, admitted)
    session.flush()
    return admitted


def _next_step_at(session: Session, queue: JobQueue, is_trying: bool) -> datetime | None:
    """Return when the queue's next step is due; None if no job waits and no refusal is in force.

    In that case the queue also stops creating one job at a time.
    """
    now = utc_now()
    soon = now + ADMIT_INTERVAL
    waits = fair_share.waiting(session, queue, 1) > 0
    if waits or is_trying or queue.provider_limit_until is not None:
        return min(_rank(session, queue, now) if waits else soon, queue.provider_limit_until or soon)
    queue.creates_one_at_a_time, queue.retries = False, 0
    return None


def _rank(session: Session, queue: JobQueue, now: datetime) -> datetime:
    """Tell the first their positions, not too often; when to do so next if it is too early now."""
    if queue.ranked_at is not None and queue.ranked_at + RANK_INTERVAL > now:
        return queue.ranked_at + RANK_INTERVAL
    turns = fair_share.turns(session, queue, MAX_RANKED_JOBS, in_order=False)
    positions: dict[str, int | None] = dict.fromkeys(queue.ranked_job_ids)
    positions |= {turn.job_id: number for number, turn in enumerate(turns, 1)}
    fair_share.write_positions(session, positions, _starts(queue, turns, now))
    queue.ranked_job_ids, queue.ranked_at = [turn.job_id for turn in turns], now
    return now + ADMIT_INTERVAL


def _starts(queue: JobQueue, turns: list[Turn], now: datetime) -> dict[str, datetime | None]:
    """When each may start, if slots become free as fast as lately."""
    if len(queue.freed_at) < 2:
        return {}
    apart = timedelta(seconds=(now.timestamp() - queue.freed_at[0]) / (len(queue.freed_at) - 1))
    earliest = max(now, queue.provider_limit_until or now)
    return {turn.job_id: max(earliest, now + apart * number) for number, turn in enumerate(turns, 1)}


def _note_freed(queue: JobQueue, held: int) -> None:
    freed = min(MAX_FREED_TIMES, max(0, queue.held - held))
    if freed:
        queue.freed_at = [*queue.freed_at, *[utc_now().timestamp()] * freed][-MAX_FREED_TIMES:]
    queue.held = held


def _give_up(_: Session, queue: JobQueue) -> None:
    release(queue, after(ADMIT_INTERVAL))


def _nothing(*_: object) -> None:
    """A queue's step is its plan alone."""


admit: Step[JobQueue, None, None] = Step(JobQueue, _plan, _nothing, _nothing, _give_up)
