"""One step of a job: get its files there, create it, pass on what was asked, or look at how it is doing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openai.types.fine_tuning import FineTuningJob
from sqlmodel import Session

from shared.jobs import clearing
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus, Level
from shared.projects.models import Credential
from shared.settings import get_settings
from shared.tables import release, utc_now
from worker import admission, arguments, giving_up, pacing
from worker.comparing import Compare, Compared, compare, comparison, record_comparison
from worker.looks import Missing, Seen, find, look, look_for_events
from worker.progress import record_seen, translator
from worker.providers import get_provider
from worker.providers.errors import ProviderError
from worker.steps import NotNow, Step, after, log
from worker.throttling import is_slow_down, open_credential, try_again

GONE_AFTER = 16  # looks to which the provider did not know it, over some fifty minutes
ASK_AGAIN = 4  # times, of what the provider says is not possible now
MISSING = ProviderError("it does not know this job", "not_found", retryable=True, status=404)


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


Answer = FineTuningJob | list[FineTuningJob] | Seen | Missing | Compared


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
        return _next_there(session, job)
    if job.create_pending_at is not None:
        wait_until = job.create_pending_at + get_settings().create_grace
        if wait_until <= utc_now():
            return Find(job.create_pending_at)
        raise NotNow(wait_until)  # which forgives no failure
    if job.request is not None:
        jobs.decide(session, job, job.request)
    if job.status.is_final:
        return None
    if job.status is JobStatus.PAUSED:
        release(job, None)
        return None
    checked = arguments.checked(session, job)
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


def _next_there(session: Session, job: Job) -> Do:
    """Of a job at the provider. If what is asked for cannot be told yet, every other step sees how the job is doing."""
    if job.request is not None and (job.retries % 2 == 0 or job.status.is_final):
        return Tell(job.request)
    return Poll(pacing.is_behind(session, job))


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
    if isinstance(answer, Missing):
        _record_missing(session, job)
        return
    job.retries = job.retries + 1 if _is_between(job, plan.do) else 0
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


def _is_between(job: Job, do: Do) -> bool:
    """Whether this was a look between two attempts to tell the provider what is asked for."""
    return isinstance(do, Poll) and job.request is not None and job.retries % 2 == 1


def _record_missing(session: Session, job: Job) -> None:
    job.misses += 1
    if job.misses > GONE_AFTER:
        jobs.fail(session, job, "job_missing_at_provider", "The provider no longer knows this job")
    else:
        _wait(session, job, MISSING, MISSING.message)


def _record_look(session: Session, job: Job, plan: Plan, seen: Seen) -> None:
    """If something was asked for or told of meanwhile, the next step is now."""
    before, again = job.status, job.request is not None or job.rung_at != plan.job.rung_at
    job.misses = 0 if seen.job is not None else job.misses
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
    else:  # the look says nothing about whether a create can be survived: those that failed stay counted
        failed, job.create_pending_at = job.failures - 1, None
        release(job, utc_now())
        job.failures = failed


def _record_error(session: Session, job: Job, do: Do, error: ProviderError) -> None:
    message = translator(session, job)(error.message)
    if isinstance(do, Create) and not error.effect_unknown:
        job.create_pending_at = None
    if isinstance(do, Create) and not error.retryable:
        if error.status == 404:
            arguments.distrust_copies(session, job)
        jobs.fail(session, job, error.code, message, error.param)
    elif isinstance(do, Tell) and (not error.retryable or (error.status == 409 and job.retries >= ASK_AGAIN)):
        _refused(session, job, do.request, message)
    else:
        _wait(session, job, error, message, is_full=isinstance(do, Create) and admission.is_full(error))
        if job.request is not None and not jobs.may_exist_at_provider(job):  # asked for while it was refused
            jobs.decide(session, job, job.request)


def _wait(session: Session, job: Job, error: ProviderError, message: str, *, is_full: bool = False) -> None:
    if job.retries == 0 and not is_slow_down(error):
        jobs.add_event(session, job, f"Waiting for the provider: {message}", Level.WARN)
    if is_full:
        admission.step_back(session, job, error)
    else:
        try_again(session, job, job.credential_id, error)


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
