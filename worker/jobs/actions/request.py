"""Passes a cancel, a pause or a resume on to the provider."""

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, NextAction
from shared.jobs.transitions import set_next_action
from worker.jobs.actions.action import Action
from worker.jobs.actions.failures import abandon, is_answer, is_unanswered_too_long, note_error, wait, words_of
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider
from worker.runtime.errors import StepError

# 404: a provider whose replicas lag says it too. 409: a job that is just changing. Both may be over in a moment.
IMPOSSIBLE_FOR_NOW_STATUSES = {404, 409}
# A provider that has no pause, and an account that may not pause, will not change when the job runs.
NEVER_STATUSES = {401, 403, 405}
MAX_IMPOSSIBLE_ANSWERS = 5  # then the request counts as refused


def _plan(_: Session, job: Job) -> JobRequest:
    assert job.request is not None
    return job.request


def _call(provider: Provider, job: Job, request: JobRequest) -> object:
    pass_on = {
        JobRequest.CANCEL: provider.cancel_job,
        JobRequest.PAUSE: provider.pause_job,
        JobRequest.RESUME: provider.resume_job,
    }
    return pass_on[request](job.provider_job_id or "")


def _record(session: Session, job: Job, request: JobRequest, answer: object) -> None:
    if not isinstance(answer, StepError):
        job.unanswered_since, job.retries = None, 0
        if request is JobRequest.RESUME and job.status is JobStatus.PAUSED:
            jobs.move(session, job, JobStatus.QUEUED)  # as its callers have been told since they asked
        _end(job, request)
        return
    if request is JobRequest.PAUSE and _is_too_early(job, answer):
        _pause_later(session, job, answer)
        return
    is_impossible = isinstance(answer, ProviderError) and answer.status in IMPOSSIBLE_FOR_NOW_STATUSES
    job.refusal_count += is_impossible
    note_error(job, is_answer=is_impossible or is_answer(answer))
    if isinstance(answer, ProviderError) and _is_refused(job, request, answer, is_impossible=is_impossible):
        jobs.refuse_request(session, job, request, answer.code, words_of(session, job, answer))
        _end(job, request)  # most often the job has just ended: poll it
    elif isinstance(answer, ProviderError) and request is JobRequest.CANCEL and is_unanswered_too_long(job):
        abandon(session, job, answer)
    else:
        _repeat_later(session, job, answer)


def _is_too_early(job: Job, error: StepError) -> bool:
    """Whether a pause was refused because the job does not train yet; OpenAI pauses only jobs that do."""
    if not isinstance(error, ProviderError) or error.status is None or error.status in NEVER_STATUSES:
        return False
    return job.status is JobStatus.QUEUED and 400 <= error.status < 500 and not error.retryable


def _pause_later(session: Session, job: Job, error: StepError) -> None:
    """Keep the pause until a poll sees the job train: `refusal_count` above 0 tells polls to wait for that."""
    if job.refusal_count == 0:
        words = words_of(session, job, error)
        jobs.add_event(session, job, f"The provider cannot pause the job yet, it is paused as soon as it runs: {words}")
    job.refusal_count += 1
    job.unanswered_since, job.retries, job.provider_status = None, 0, None
    set_next_action(job, NextAction.POLL)
    release(job, utc_now())


def _is_refused(job: Job, request: JobRequest, error: ProviderError, *, is_impossible: bool) -> bool:
    """A cancel of a job that has not ended is repeated until a poll sees that the job has ended."""
    if not is_impossible:
        return not error.retryable
    return job.refusal_count >= MAX_IMPOSSIBLE_ANSWERS and (request is not JobRequest.CANCEL or job.status.is_final)


def _end(job: Job, request: JobRequest) -> None:
    """The next poll shows what came of it, whatever the watch has read before. A newer request goes first."""
    job.request = None if job.request is request else job.request
    job.provider_status = None
    set_next_action(job, NextAction.POLL if job.request is None else NextAction.REQUEST)
    release(job, utc_now())


def _repeat_later(session: Session, job: Job, error: StepError) -> None:
    """Poll in between, since the job may have ended; one that has ended for us has nothing to poll."""
    set_next_action(job, NextAction.REQUEST if job.status.is_final else NextAction.POLL)
    wait(session, job, error)


REQUEST = Action(_plan, _call, _record)
