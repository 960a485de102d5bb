"""How a job ends that cannot be carried on: it may go on at the provider, where nobody would stop it."""

from sqlmodel import Session

from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs import slots
from shared.jobs.models import Job, JobRequest
from shared.jobs.transitions import set_next_action
from worker.runtime.steps import backoff, log, reference


def give_up(session: Session, job: Job) -> None:
    """What may be at the provider is cancelled there, and has its place until then. If that fails too, it is let be.

    It waits its turn like any repetition: what has kept failing, or killing its process, is likely to do so again.
    """
    if job.status.is_final:
        log.error("a job that was given up may go on at the provider", row=job.id, provider_job_id=job.provider_job_id)
        let_be(session, job)
        return
    place, its_turn = job.place, utc_now() + backoff(job.failures)
    sentence = f"The job could not be carried on, by our fault; tell your operator its id, {reference(job.id)}"
    jobs.fail(session, job, "internal_error", sentence)
    if jobs.may_exist_at_provider(job):
        jobs.set_request(job, JobRequest.CANCEL)
        job.place = place
        release(job, its_turn)


def let_be(session: Session, job: Job) -> None:
    """It has ended, and nothing of it is left at the provider that we could end."""
    job.request = None
    set_next_action(job, None)
    release(job, None)
    slots.leave(session, job)
