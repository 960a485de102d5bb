"""One step of a job: get its files there, create it, pass on what was asked, or look at how it is doing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openai.types.fine_tuning import FineTuningJob
from sqlmodel import Session

from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus
from shared.jobs import clearing
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, Level
from shared.projects.models import Credential
from shared.settings import get_settings
from shared.tables import release, utc_now
from worker import admission, arguments, giving_up, pacing
from worker.comparing import Compare, Compared, compare, comparison, record_comparison
from worker.looks import Seen, find, look, look_for_events
from worker.progress import record_seen, translator
from worker.providers import get_provider
from worker.providers.errors import ProviderError
from worker.steps import Step, after, log
from worker.throttling import is_slow_down, open_credential, try_again

GONE_AFTER = 8  # looks in a row that did not find it, over some eight minutes


@dataclass(frozen=True)
class Create:
    """Create the job with these arguments; that it is about to be created is already committed."""

    asked: dict[str, Any]


@dataclass(frozen=True)
class Find:
    """Look for the job: an attempt to create it began at this time, and nobody knows how it ended."""

    since: datetime


@dataclass(frozen=True)
class Tell:
    """Pass on what the caller has asked for."""

    request: JobRequest


@dataclass(frozen=True)
class Poll:
    """See how it is doing; `fully` unless the list of all jobs tells of its status."""

    fully: bool


Do = Compare | Create | Find | Tell | Poll


@dataclass(frozen=True)
class Plan:
    job: Job
    credential: Credential
    do: Do


Answer = FineTuningJob | list[FineTuningJob] | Seen | Compared


def _plan(session: Session, job: Job) -> Plan | None:
    do = _next(session, job)
    if do is None:
        return None
    if isinstance(do, Compare):  # asks nobody
        return Plan(job, session.get_one(Credential, job.credential_id), do)
    return Plan(job, open_credential(session, job.credential_id), do)


def _next(session: Session, job: Job) -> Do | None:
    """What to do now; None if there is only to wait, or the job has ended."""
    if job.status.is_final and (job.request is None or not jobs.may_exist_at_provider(job)):
        giving_up.let_be(session, job)
        return None
    if job.provider_job_id is not None:
        return Tell(job.request) if job.request is not None else Poll(pacing.is_behind(session, job))
    if job.create_pending_at is not None:
        wait_until = job.create_pending_at + get_settings().create_grace
        if wait_until <= utc_now():
            return Find(job.create_pending_at)
        release(job, wait_until)
        return None
    if job.request is JobRequest.CANCEL:
        jobs.move(session, job, JobStatus.CANCELLED)
        return None
    if job.status is JobStatus.PAUSED:
        release(job, None)
        return None
    checked = _checked(session, job)
    if checked is None or not clearing.clear(session, job):
        return None
    files = arguments.files(session, job, checked)
    if files is None:
        return None
    if (needed := comparison(job)) is not None:
        return needed
    if not all(files.values()):
        release(job, after(jobs.WAIT_FOR_FILES))
        return None
    if not admission.take(session, job):
        return None
    job.create_pending_at = utc_now()
    return Create(arguments.asked(job, files))


def _checked(session: Session, job: Job) -> dict[str, Dataset] | None:
    """The job's files, by parameter; None while one is still checked, or if one is bad."""
    found = {}
    for param, dataset_id in (("training_file", job.training_file), ("validation_file", job.validation_file)):
        if dataset_id is None:
            continue
        dataset = session.get_one(Dataset, dataset_id)
        if dataset.deleted_at is not None or not datasets.is_fit(session, dataset, param):
            code, message = dataset.error_code or "file_deleted", dataset.status_details or f"{dataset_id} was deleted"
            jobs.fail(session, job, code, message, param)
            return None
        if dataset.status is DatasetStatus.UPLOADED:
            release(job, after(jobs.WAIT_FOR_FILES))
            return None
        found[param] = dataset
    return found


def _ask(plan: Plan) -> Answer:
    provider = get_provider(plan.credential)
    id = plan.job.provider_job_id or ""
    match plan.do:
        case Compare():
            return compare(plan.job, plan.do)
        case Create(asked):
            return provider.create_job(asked, plan.job.id, plan.job.project_id, plan.job.organization_id)
        case Find(since):
            return find(provider, plan.job.id, since)
        case Tell(JobRequest.CANCEL):
            return provider.cancel_job(id)
        case Tell(JobRequest.PAUSE):
            return provider.pause_job(id)
        case Tell(JobRequest.RESUME):
            return provider.resume_job(id)
        case Poll(fully=False):
            return look_for_events(provider, plan.job)
        case _:
            return look(provider, plan.job)


def _record(session: Session, job: Job, plan: Plan, answer: Answer | ProviderError) -> None:
    if isinstance(answer, ProviderError):
        _record_error(session, job, plan.do, answer)
        return
    job.retries = 0
    match answer:
        case Seen():
            _record_look(session, job, plan, answer)
        case Compared():
            record_comparison(session, job, answer)
        case list():
            _adopt(session, job, answer)
        case _ if isinstance(plan.do, Tell):
            _told(job, plan.do.request)
        case _:
            _created(session, job, answer)


def _record_look(session: Session, job: Job, plan: Plan, seen: Seen) -> None:
    """If something was asked for or told of meanwhile, the next step is now."""
    before, again = job.status, job.request is not None or job.provider_status != plan.job.provider_status
    record_seen(session, job, seen)
    is_new = bool(seen.events) or job.status is not before
    if is_new:
        job.news_at = utc_now()
    if not job.status.is_final:
        release(job, utc_now() if again else pacing.next_look(session, job, is_new=is_new))


def _created(session: Session, job: Job, provider_job: FineTuningJob) -> None:
    job.provider_job_id, job.create_pending_at = provider_job.id, None
    log.info("the provider has the job", job_id=job.id, provider_job_id=provider_job.id)
    admission.note_created(session, job)
    pacing.begin(session, job.credential_id)
    release(job, utc_now())


def _adopt(session: Session, job: Job, found: list[FineTuningJob]) -> None:
    if found:
        _created(session, job, found[0])
    else:
        job.create_pending_at = None
        release(job, utc_now())


def _record_error(session: Session, job: Job, do: Do, error: ProviderError) -> None:
    message = translator(session, job)(error.message)
    if isinstance(do, Create) and not error.effect_unknown:
        job.create_pending_at = None
    if isinstance(do, Create) and not error.retryable:
        if error.status == 404:
            _distrust_copies(session, job)
        jobs.fail(session, job, error.code, message, error.param)
    elif isinstance(do, Tell) and not error.retryable:
        _refused(session, job, do.request, message)
    elif isinstance(do, Poll) and error.status == 404 and job.retries >= GONE_AFTER:
        jobs.fail(session, job, "job_missing_at_provider", "The provider no longer knows this job")
    else:
        if job.retries == 0 and not is_slow_down(error):
            jobs.add_event(session, job, f"Waiting for the provider: {message}", Level.WARN)
        if isinstance(do, Create) and admission.is_full(error):
            admission.step_back(session, job, error)
        else:
            try_again(session, job, job.credential_id, error)


def _distrust_copies(session: Session, job: Job) -> None:
    """Something that the create names is not there: perhaps a file. The next job that needs it sends it anew."""
    for dataset_id in filter(None, (job.training_file, job.validation_file)):
        for file in datasets.provider_files(session, dataset_id):
            if file.credential_id == job.credential_id:
                file.expires_at = utc_now()


def _refused(session: Session, job: Job, request: JobRequest, message: str) -> None:
    """The provider does not do it, most often because the job has just ended: look at it."""
    jobs.add_event(session, job, f"The provider refused to {request} the job: {message}", Level.WARN)
    _told(job, request)


def _told(job: Job, request: JobRequest) -> None:
    """What came of it a look will show, whatever the list has told before."""
    job.request = None if job.request is request else job.request
    job.provider_status = None
    release(job, utc_now())


advance = Step(Job, _plan, _ask, _record, giving_up.give_up)
