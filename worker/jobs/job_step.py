"""One step of a job: get its files there, create it, pass on what was asked, or look at how it is doing."""

from dataclasses import dataclass

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import approval
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest, JobStatus
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.jobs import admission, create_request, give_up, poll_schedule
from worker.jobs.actions import Create, Do, Find, Poll, Tell
from worker.jobs.backpressure import open_credential
from worker.jobs.failures import note_told, record_error, record_unseen
from worker.jobs.overlap import Compare, Compared, compare, comparison, record_comparison
from worker.jobs.poll import Seen, Unseen, find, look, look_for_events
from worker.jobs.record import record_seen
from worker.providers.protocol import ProviderJob
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError
from worker.runtime.steps import NotNow, Step, after, log


@dataclass(frozen=True)
class Plan:
    job: Job
    credential: Credential
    do: Do


Answer = ProviderJob | list[ProviderJob] | Seen | Unseen | Compared


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
        give_up.let_be(session, job)
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
    job.create_pending_at = utc_now()
    return Create(create_request.new_job(job, files))


def _next_there(session: Session, job: Job) -> Do:
    """Of a job at the provider. If what is asked for cannot be told yet, every other step sees how the job is doing."""
    if job.request is not None and (job.retries % 2 == 0 or job.status.is_final):
        return Tell(job.request)
    return Poll(poll_schedule.is_behind(session, job))


def _call(plan: Plan) -> Answer:
    provider = get_provider(plan.credential)
    id = plan.job.provider_job_id or ""
    match plan.do:
        case Compare():
            return compare(plan.job, plan.do)
        case Create(new):
            return provider.create_job(new)
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


def _record(session: Session, job: Job, plan: Plan, answer: Answer | StepError) -> None:
    if isinstance(answer, StepError):
        record_error(session, job, plan.do, answer)
        return
    job.unanswered_since = None
    if isinstance(answer, Unseen):
        record_unseen(session, job, answer)
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
            note_told(job, plan.do.request)
        case _:
            _created(session, job, answer)


def _is_between(job: Job, do: Do) -> bool:
    """Whether this was a look between two attempts to tell the provider what is asked for."""
    return isinstance(do, Poll) and job.request is not None and job.retries % 2 == 1


def _record_look(session: Session, job: Job, plan: Plan, seen: Seen) -> None:
    """If something was asked for or told of meanwhile, the next step is now."""
    before, again = job.status, job.request is not None or job.enqueued_at != plan.job.enqueued_at
    job.misses = 0 if seen.job is not None else job.misses
    record_seen(session, job, seen)
    is_new = bool(seen.events) or job.status is not before
    if is_new:
        job.changed_at = utc_now()
    if not job.status.is_final:
        release(job, utc_now() if again else poll_schedule.next_look(session, job, is_new=is_new))


def _created(session: Session, job: Job, provider_job: ProviderJob) -> None:
    job.provider_job_id, job.create_pending_at = provider_job.id, None
    log.info("the provider has the job", job_id=job.id, provider_job_id=provider_job.id)
    admission.note_created(session, job)
    poll_schedule.begin(session, job.credential_id)
    release(job, utc_now())


def _adopt(session: Session, job: Job, found: list[ProviderJob]) -> None:
    if found:
        _created(session, job, found[0])
    else:  # the look says nothing about whether a create can be survived: those that failed stay counted
        failed, job.create_pending_at = job.failures - 1, None
        release(job, utc_now())
        job.failures = failed


advance = Step(Job, _plan, _call, _record, give_up.give_up)
