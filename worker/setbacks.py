"""What becomes of a job whose provider refuses, cannot answer, or does not know it."""

from sqlmodel import Session

from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, Level
from shared.tables import release, utc_now
from worker import admission, arguments, giving_up
from worker.doing import Create, Do, Find, Tell
from worker.looks import Missing
from worker.progress import translator
from worker.providers.errors import ProviderError
from worker.steps import log
from worker.throttling import is_slow_down, try_again

GONE_AFTER = 16  # looks to which the provider did not know it, over some fifty minutes
IMPOSSIBLE_NOW = {404, 409}  # of a request: the one is also said by who is behind, the other of a job that changes
ASK_AGAIN = 8  # answers of that kind to a request, and looks between them
UNHEARD = 300  # attempts, over a day


def record_missing(session: Session, job: Job, missing: Missing) -> None:
    job.misses += 1
    if job.misses > GONE_AFTER:
        jobs.fail(session, job, "job_missing_at_provider", "The provider no longer knows this job")
    else:
        _wait(session, job, missing.error, translator(session, job)(missing.error.message))


def record_error(session: Session, job: Job, do: Do, error: ProviderError) -> None:
    message = translator(session, job)(error.message)
    match do:
        case Create():
            _record_create(session, job, error, message)
        case Tell(request) if _is_refusal(job, error):
            _refused(session, job, request, message)
        case Tell(JobRequest.CANCEL) | Find() if job.retries >= UNHEARD:
            _let_go(session, job, message)
        case _:
            _wait(session, job, error, message)


def _record_create(session: Session, job: Job, error: ProviderError, message: str) -> None:
    if not error.effect_unknown:
        job.create_pending_at = None
    if not error.retryable:
        if error.status == 404:
            arguments.distrust_copies(session, job)
        jobs.fail(session, job, error.code, message, error.param)
        return
    _wait(session, job, error, message, is_full=admission.is_full(error))
    if job.request is not None and not jobs.may_exist_at_provider(job):  # asked for while it was refused
        jobs.decide(session, job, job.request)


def _wait(session: Session, job: Job, error: ProviderError, message: str, *, is_full: bool = False) -> None:
    if job.retries == 0 and not is_slow_down(error):
        jobs.add_event(session, job, f"Waiting for the provider: {message}", Level.WARN)
    if is_full:
        admission.step_back(session, job, error)
    else:
        try_again(session, job, job.credential_id, error)


def _is_refusal(job: Job, error: ProviderError) -> bool:
    if error.status in IMPOSSIBLE_NOW:
        return job.retries >= ASK_AGAIN
    return not error.retryable


def _refused(session: Session, job: Job, request: JobRequest, message: str) -> None:
    """The provider does not do it, most often because the job has just ended: look at it."""
    jobs.add_event(session, job, f"The provider refused to {request} the job: {message}", Level.WARN)
    note_told(job, request)


def note_told(job: Job, request: JobRequest) -> None:
    """What came of it a look will show, whatever the list has told before."""
    job.request = None if job.request is request else job.request
    job.provider_status = None
    release(job, utc_now())


def _let_go(session: Session, job: Job, message: str) -> None:
    """Nobody could be asked for a day. It ends here; if it is there after all, reconciliation will cancel it."""
    log.error("a job that was let go may be at the provider", row=job.id, provider_job_id=job.provider_job_id)
    if job.status.is_final:
        giving_up.let_be(session, job)
    elif job.request is JobRequest.CANCEL:
        jobs.add_event(
            session, job, f"The provider could not be told to cancel, it may go on there: {message}", Level.WARN
        )
        jobs.move(session, job, JobStatus.CANCELLED)
    else:
        sentence = f"The provider did not say whether it has created the job, and cannot be asked: {message}"
        jobs.fail(session, job, "create_unknown", sentence)
