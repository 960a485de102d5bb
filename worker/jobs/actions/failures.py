"""What becomes of a job whose provider fails to answer, asks to wait, or has not answered for too long."""

from datetime import timedelta

from sqlmodel import Session

from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, Level
from worker.jobs import admission, give_up
from worker.jobs.backpressure import is_slow_down, try_again
from worker.jobs.record import translator
from worker.providers.errors import ProviderError
from worker.runtime.errors import StepError
from worker.runtime.steps import log

MAX_TIME_WITHOUT_ANSWER = timedelta(days=1)
# A day alone proves nothing: for as long no worker may have run.
MIN_ATTEMPTS_WITHOUT_ANSWER = 10


def is_answer(error: StepError) -> bool:
    """Whether the provider has answered at all. That it is called too often is an answer, a 401 or a 500 is none."""
    return is_slow_down(error)


def note_error(job: Job, *, is_answer: bool) -> None:
    """Remember since when there is no answer about the job."""
    job.unanswered_since = None if is_answer else job.unanswered_since or utc_now()


def is_unanswered_too_long(job: Job) -> bool:
    since = job.unanswered_since
    is_long_ago = since is not None and since <= utc_now() - MAX_TIME_WITHOUT_ANSWER
    return is_long_ago and job.retries >= MIN_ATTEMPTS_WITHOUT_ANSWER


def words_of(session: Session, job: Job, error: StepError) -> str:
    """The provider's sentence, with our ids instead of its own."""
    return translator(session, job)(error.message)


def wait(session: Session, job: Job, error: StepError, *, is_full: bool = False) -> None:
    """Back off, or wait for a slot if the provider `is_full`. The first time in a row is an event of the job."""
    if job.retries == 0 and not is_slow_down(error):
        message = f"Waiting for the provider: {words_of(session, job, error)}"
        jobs.add_event(session, job, message, Level.WARN)
    if is_full:
        admission.step_back(session, job, error)
    else:
        try_again(session, job, job.credential_id, error)


def abandon(session: Session, job: Job, error: ProviderError) -> None:
    """End the job here without an answer. What exists at the provider all the same the daily reconciliation cancels."""
    log.error("a job that was abandoned may be at the provider", row=job.id, provider_job_id=job.provider_job_id)
    message = words_of(session, job, error)
    if job.status.is_final:
        give_up.let_be(session, job)
    elif job.request is JobRequest.CANCEL:
        sentence = f"The provider could not be told to cancel, it may go on there: {message}"
        jobs.add_event(session, job, sentence, Level.WARN)
        jobs.move(session, job, JobStatus.CANCELLED)
    else:
        sentence = f"The provider did not say whether it has created the job, and cannot be asked: {message}"
        jobs.fail(session, job, "create_unknown", sentence)
