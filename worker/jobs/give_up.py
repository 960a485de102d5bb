"""Ends a job whose steps keep failing, and cancels what may run, and cost, at the provider."""

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobRequest
from shared.jobs.queue import slots
from shared.jobs.transitions import set_next_action
from worker.runtime.errors import internal_error
from worker.runtime.steps import backoff, log


def give_up(session: Session, job: Job) -> None:
    """Fail the job. If it may be at the provider it is cancelled there, and keeps its slot until then.

    If that keeps failing too, the job is let be. The cancel backs off first: a step that has kept failing, or killing
    its process, is likely to do so again.
    """
    if job.status.is_final:
        log.error("a job that was given up may go on at the provider", row=job.id, provider_job_id=job.provider_job_id)
        let_be(session, job)
        return
    slot, its_turn = job.slot, utc_now() + backoff(job.failures)
    jobs.fail(session, job, "internal_error", internal_error("this job", job.id))
    if jobs.may_exist_at_provider(job):
        jobs.set_request(job, JobRequest.CANCEL)
        job.slot = slot
        release(job, its_turn)


def let_be(session: Session, job: Job) -> None:
    """End the steps of a job that has ended, and of which nothing is left at the provider that could be cancelled."""
    job.request = None
    set_next_action(job, None)
    release(job, None)
    slots.leave(session, job)
