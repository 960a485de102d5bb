"""A job's part in its queue: found, waited in, and left. Who is next the worker decides."""

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from shared.datasets.validation.rules.limits import rules
from shared.db.claims import make_due, release
from shared.jobs.models import Job, JobQueue, Place, QueueShare
from shared.projects.models import Credential
from shared.settings import get_settings


def base_of(model: str) -> str:
    """The model whose places are taken: that of a snapshot, an alias or a tuned model."""
    known = rules().model(model)
    return (known.alias or known.name) if known is not None else model


def most(session: Session, queue: JobQueue) -> int | None:
    """How many jobs of this queue may be at the provider: as the operator says of the
    deployment's account, else as the provider itself does. None if neither says it.
    """
    credential = session.get_one(Credential, queue.credential_id)
    configured = get_settings().provider.slots if credential.project_id is None else {}
    by_base = {base_of(name): count for name, count in configured.items()}
    return by_base.get(queue.model, configured.get("*", credential.job_slots.get(queue.model)))


def queue_of(session: Session, job: Job) -> JobQueue:
    """The queue of a job's account and base model. It is made when first needed, and not locked."""
    if job.queue_id is not None:
        return session.get_one(JobQueue, job.queue_id)
    model = base_of(job.model)
    query = select(JobQueue).where(JobQueue.credential_id == job.credential_id, JobQueue.model == model)
    queue = session.exec(query).one_or_none()
    if queue is None:
        new = JobQueue(credential_id=job.credential_id, model=model, due_at=None)
        session.exec(insert(JobQueue).values(**new.model_dump()).on_conflict_do_nothing())
        queue = session.exec(query).one()
    job.queue_id = queue.id
    return queue


def wait(session: Session, job: Job) -> None:
    """Let a job wait, without steps, until its queue admits it. One that is paused is passed over until it is not."""
    queue_id = queue_of(session, job).id
    job.place, job.queue_position, job.estimated_start_at = Place.WAITING, None, None
    release(job, None)
    queue = locked(session, queue_id)  # before the share, as whoever finds it full has it then
    share = QueueShare(queue_id=queue_id, project_id=job.project_id)
    session.exec(insert(QueueShare).values(**share.model_dump()).on_conflict_do_nothing())
    make_due(session, queue)


def leave(session: Session, job: Job) -> None:
    """Give the place back, or stop waiting for one."""
    if job.place is None:
        return
    job.place, job.queue_position, job.estimated_start_at = None, None, None
    ring(session, job)


def ring(session: Session, job: Job) -> None:
    """Let the queue look again, if somebody waits in it. The lock makes whoever is about to wait be seen."""
    if job.queue_id is not None and (queue := locked(session, job.queue_id)).due_at is not None:
        make_due(session, queue)


def locked(session: Session, queue_id: str) -> JobQueue:
    """Always locked after the job, never before: the queue's step, which has it first, passes over locked jobs."""
    session.flush()
    return session.get_one(JobQueue, queue_id, with_for_update={"key_share": True}, populate_existing=True)
