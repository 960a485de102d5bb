"""Gets a job ready for the provider, and creates it there."""

from dataclasses import dataclass

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import approval
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobStatus, NextAction
from shared.jobs.transitions import set_next_action
from worker.jobs import admission, create_request, poll_schedule
from worker.jobs.actions.action import Action
from worker.jobs.actions.failures import note_error, wait, words_of
from worker.jobs.overlap import Compare, Compared, compare, comparison, record_comparison
from worker.providers.errors import ProviderError
from worker.providers.protocol import NewJob, Provider, ProviderJob
from worker.runtime.errors import StepError
from worker.runtime.steps import after, log

BAD_FILES = {"invalid_training_file", "invalid_validation_file"}  # by a provider that looks at them itself


@dataclass(frozen=True)
class Create:
    """Create this job at the provider."""

    job: NewJob


def _plan(session: Session, job: Job) -> Compare | Create | None:
    """Pass the gates in order: files checked, cost approved, files at the provider, compared, a free slot.

    A job that cannot pass one waits there, and passes all of them again: a file may have been deleted meanwhile.
    """
    # To create a job that may exist already would make a second one, which costs money.
    assert not jobs.may_exist_at_provider(job)
    if job.request is not None:
        jobs.decide(session, job, job.request)
    if job.status.is_final:
        return None
    if job.status is JobStatus.PAUSED:
        release(job, None)
        return None
    checked = create_request.checked(session, job)
    if checked is None or not approval.clear(session, job):
        return None
    files = create_request.files(session, job, checked)
    if files is None:
        return None
    if (needed := comparison(job)) is not None:
        return needed
    if not all(files.values()):
        release(job, after(jobs.WAIT_FOR_FILES))
        return None
    if not admission.take(session, job):
        return None
    if not create_request.name_file(session, job, files["training_file"]):
        release(job, utc_now())
        return None
    # Committed before the call: a worker that dies in it leaves a job that is searched for, not created again.
    job.create_pending_at = utc_now()
    set_next_action(job, NextAction.FIND)
    return Create(create_request.new_job(session, job, files))


def _call(provider: Provider, job: Job, work: Compare | Create) -> Compared | ProviderJob:
    if isinstance(work, Compare):
        return compare(job, work)
    return provider.create_job(work.job)


def _record(session: Session, job: Job, work: Compare | Create, answer: Compared | ProviderJob | StepError) -> None:
    if isinstance(answer, Compared):
        job.unanswered_since, job.retries = None, 0
        record_comparison(session, job, answer)
    elif not isinstance(answer, StepError):
        record_created(session, job, answer)
    elif isinstance(answer, ProviderError) and isinstance(work, Create):
        _record_create_error(session, job, answer)
    else:
        note_error(job, is_answer=False)
        wait(session, job, answer)


def record_created(session: Session, job: Job, provider_job: ProviderJob) -> None:
    """The provider has the job: it was created just now, or found after a create in doubt."""
    job.unanswered_since, job.retries = None, 0
    job.provider_job_id, job.create_pending_at = provider_job.id, None
    job.sent_at = utc_now()
    set_next_action(job, NextAction.POLL if job.request is None else NextAction.REQUEST)
    log.info("the provider has the job", job_id=job.id, provider_job_id=provider_job.id)
    admission.note_created(session, job)
    poll_schedule.begin(session, job.credential_id)
    release(job, utc_now())


def _record_create_error(session: Session, job: Job, error: ProviderError) -> None:
    """After an answer the job certainly does not exist there; otherwise it is searched for when the grace is over."""
    note_error(job, is_answer=True)  # the time without an answer begins with the search
    if not error.effect_unknown:
        job.create_pending_at = None
        set_next_action(job, NextAction.PREPARE)
    if error.status == 404 or error.code in BAD_FILES:
        create_request.expire_provider_files(session, job)
    if not error.retryable:
        jobs.fail(session, job, error.code, words_of(session, job, error), error.param)
        return
    wait(session, job, error, is_full=admission.is_full(error))
    if job.request is not None and not jobs.may_exist_at_provider(job):  # made while the create was under way
        jobs.decide(session, job, job.request)


PREPARE: Action[Compare | Create, Compared | ProviderJob] = Action(_plan, _call, _record)
