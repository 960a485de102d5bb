"""What becomes of a job whose provider refuses, cannot answer, or does not know it."""

from datetime import timedelta

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, Level
from worker.jobs import admission, create_request, give_up
from worker.jobs.actions import Create, Do, Find, Poll, Tell
from worker.jobs.backpressure import is_slow_down, try_again
from worker.jobs.poll import Unseen
from worker.jobs.record import translator
from worker.providers.errors import ProviderError
from worker.runtime.errors import StepError
from worker.runtime.steps import log

GONE_AFTER = 16  # looks to which the provider did not know it, over some fifty minutes
IMPOSSIBLE_NOW = {404, 409}  # of a request: the one is also said by who is behind, the other of a job that changes
PATIENCE = 5  # answers of that kind to a request
A_DAY = timedelta(days=1)
ATTEMPTS = 10  # at least: for as long as that day nobody may have tried


def record_unseen(session: Session, job: Job, unseen: Unseen) -> None:
    job.misses += 1
    if job.misses > GONE_AFTER:
        jobs.fail(session, job, "job_missing_at_provider", "The provider no longer knows this job")
    else:
        _wait(session, job, unseen.error, translator(session, job)(unseen.error.message))


def record_error(session: Session, job: Job, do: Do, error: StepError) -> None:
    message = translator(session, job)(error.message)
    if not isinstance(error, ProviderError):  # our own storage failed; a poll is repeated as after no answer
        job.unanswered_since = job.unanswered_since or utc_now()
        _wait(session, job, error, message)
        return
    _note(job, do, error)
    match do:
        case Create():
            _record_create(session, job, error, message)
        case Tell(request) if _is_refusal(job, request, error):
            _refused(session, job, request, message)
        case Tell(JobRequest.CANCEL) | Find() if _is_unheard(job):
            _abandon(session, job, message)
        case _:
            _wait(session, job, error, message)


def _record_create(session: Session, job: Job, error: ProviderError, message: str) -> None:
    if not error.effect_unknown:
        job.create_pending_at = None
    if not error.retryable:
        if error.status == 404:
            create_request.distrust_copies(session, job)
        jobs.fail(session, job, error.code, message, error.param)
        return
    _wait(session, job, error, message, is_full=admission.is_full(error))
    if job.request is not None and not jobs.may_exist_at_provider(job):  # asked for while it was refused
        jobs.decide(session, job, job.request)


def _wait(session: Session, job: Job, error: StepError, message: str, *, is_full: bool = False) -> None:
    if job.retries == 0 and not is_slow_down(error):
        jobs.add_event(session, job, f"Waiting for the provider: {message}", Level.WARN)
    if is_full:
        admission.step_back(session, job, error)
    else:
        try_again(session, job, job.credential_id, error)


def _note(job: Job, do: Do, error: ProviderError) -> None:
    """Whether this was an answer. Silence about a job in doubt begins after its create."""
    is_impossible_now = isinstance(do, Tell) and error.status in IMPOSSIBLE_NOW
    job.refusals += is_impossible_now
    is_answer = is_impossible_now or is_slow_down(error) or isinstance(do, Create)
    job.unanswered_since = None if is_answer else job.unanswered_since or utc_now()
    if job.request is not None and isinstance(do, Tell | Poll) and is_slow_down(error):
        job.retries ^= 1  # so that a look comes after what was asked for, and that after a look


def _is_unheard(job: Job) -> bool:
    since = job.unanswered_since
    return since is not None and since <= utc_now() - A_DAY and job.retries >= ATTEMPTS


def _is_refusal(job: Job, request: JobRequest, error: ProviderError) -> bool:
    """Of a job that has not ended a cancel is told until the looks between see that it has."""
    if error.status not in IMPOSSIBLE_NOW:
        return not error.retryable
    return job.refusals >= PATIENCE and (request is not JobRequest.CANCEL or job.status.is_final)


def _refused(session: Session, job: Job, request: JobRequest, message: str) -> None:
    """The provider does not do it, most often because the job has just ended: look at it."""
    jobs.add_event(session, job, f"The provider refused to {request} the job: {message}", Level.WARN)
    note_told(job, request)


def note_told(job: Job, request: JobRequest) -> None:
    """What came of it a look will show, whatever the list has told before."""
    job.request = None if job.request is request else job.request
    job.provider_status = None
    release(job, utc_now())


def _abandon(session: Session, job: Job, message: str) -> None:
    """There was no usable answer for a day. It ends here; what is there after all reconciliation cancels, once the
    provider's list can be read again."""
    log.error("a job that was abandoned may be at the provider", row=job.id, provider_job_id=job.provider_job_id)
    if job.status.is_final:
        give_up.let_be(session, job)
    elif job.request is JobRequest.CANCEL:
        jobs.add_event(
            session, job, f"The provider could not be told to cancel, it may go on there: {message}", Level.WARN
        )
        jobs.move(session, job, JobStatus.CANCELLED)
    else:
        sentence = f"The provider did not say whether it has created the job, and cannot be asked: {message}"
        jobs.fail(session, job, "create_unknown", sentence)
