"""Asks the provider how a job is, and records what is new."""

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, NextAction
from shared.jobs.transitions import set_next_action
from worker.jobs import poll_schedule
from worker.jobs.actions.action import Action
from worker.jobs.actions.failures import is_answer, note_error, wait
from worker.jobs.fetch import Seen, Unseen, fetch_events, fetch_job
from worker.jobs.record import record_seen
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider
from worker.runtime.errors import StepError

MAX_NOT_FOUND_POLLS = 16  # in a row, over some fifty minutes; then the job counts as gone


def _plan(session: Session, job: Job) -> bool:
    """Whether to ask for the status too; the watch knows it otherwise, and only the events are new."""
    return poll_schedule.is_behind(session, job)


def _call(provider: Provider, job: Job, with_status: bool) -> Seen | Unseen:
    return fetch_job(provider, job) if with_status else fetch_events(provider, job)


def _record(session: Session, job: Job, _: bool, answer: Seen | Unseen | StepError) -> None:
    # While a request waits for its next attempt, polls and attempts alternate. Nobody made it during this poll if the
    # next action is still the one that was claimed.
    is_between_attempts = job.request is not None and job.next_action is NextAction.POLL and not _waits_to_pause(job)
    set_next_action(job, NextAction.POLL if job.request is None else NextAction.REQUEST)
    if isinstance(answer, StepError):
        if isinstance(answer, ProviderError):  # else our own storage failed, and the provider had answered
            note_error(job, is_answer=is_answer(answer))
        wait(session, job, answer)
        return
    job.unanswered_since = None
    if isinstance(answer, Unseen):
        _record_not_found(session, job, answer)
        return
    job.retries = job.retries + 1 if is_between_attempts else 0  # so that the waits between attempts grow
    _record_seen(session, job, answer)


def _waits_to_pause(job: Job) -> bool:
    """Whether the provider has refused a pause because the job does not run yet."""
    return job.request is JobRequest.PAUSE and job.refusal_count > 0 and job.status is JobStatus.QUEUED


def _record_not_found(session: Session, job: Job, unseen: Unseen) -> None:
    job.not_found_count += 1
    if job.not_found_count > MAX_NOT_FOUND_POLLS:
        jobs.fail(session, job, "job_missing_at_provider", "The provider no longer knows this job")
    else:
        wait(session, job, unseen.error)


def _record_seen(session: Session, job: Job, seen: Seen) -> None:
    before = job.status
    job.not_found_count = 0 if seen.job is not None else job.not_found_count
    has_new_events = record_seen(session, job, seen)
    is_new = has_new_events or job.status is not before
    if is_new:
        job.changed_at = utc_now()
    if not job.status.is_final:
        if _waits_to_pause(job):
            set_next_action(job, NextAction.POLL)
        is_requested = job.next_action is NextAction.REQUEST
        release(job, utc_now() if is_requested else poll_schedule.next_poll_at(session, job, is_new=is_new))


POLL = Action(_plan, _call, _record)
