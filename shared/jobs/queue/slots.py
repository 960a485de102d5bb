"""Lets a job enter and leave the queue for slots. The worker decides which job is next."""

from collections import Counter

from pydantic import BaseModel
from sqlalchemy import ColumnElement, and_, func, or_, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.datasets.validation.rules.limits import rules
from shared.db.claims import make_due, release
from shared.jobs.models import IS_OPEN, Job, JobStatus, Slot
from shared.jobs.queue.models import JobQueue, QueueShare
from shared.projects import credentials
from shared.projects.models import Credential, Project
from shared.settings import get_settings


def base_of(model: str) -> str:
    """The model whose slots are taken: that of a snapshot, an alias or a tuned model."""
    known = rules().model(model)
    return (known.alias or known.name) if known is not None else model


class ModelLimit(BaseModel):
    """How many jobs of one base model may be at the provider at once; null: not known, and not limited here.

    `active_jobs`: how many of the project are there now, or about to be.
    """

    max_concurrent_jobs: int | None
    active_jobs: int


def model_limits(session: Session, project_id: str) -> dict[str, ModelLimit]:
    """Return the limit of each base model that the project may tune, by its name. Snapshots and aliases share slots."""
    project = session.get_one(Project, project_id)
    active = _active_jobs(session, project_id)
    limits = {}
    for credential in credentials.usable_by(session, project_id)[::-1]:  # the newest account is the one that is used
        for name in (each["id"] for each in credential.base_models):
            base = base_of(name)
            limits[name] = ModelLimit(
                max_concurrent_jobs=most_of_project(credential, base, project), active_jobs=active[credential.id, base]
            )
    return limits


def is_active() -> ColumnElement[bool]:
    """Whether a job is at the provider, or about to be: by its state, since one of a model without a limit holds no
    slot."""
    may_be_there = or_(col(Job.provider_job_id).is_not(None), col(Job.create_pending_at).is_not(None))
    return and_(text(IS_OPEN), col(Job.status) != JobStatus.PAUSED, may_be_there)


def _active_jobs(session: Session, project_id: str) -> Counter[tuple[str, str]]:
    jobs = select(Job.credential_id, Job.model, func.count()).where(Job.project_id == project_id, is_active())
    counts: Counter[tuple[str, str]] = Counter()
    for credential_id, model, count in session.exec(jobs.group_by(Job.credential_id, Job.model)):
        counts[credential_id, base_of(model)] += count
    return counts


def most_of_project(credential: Credential, base: str, project: Project) -> int | None:
    """How many jobs of a base model one project may have at the provider at once; None if no limit is known."""
    limits = (most_at(credential, base), project.max_active_jobs or get_settings().provider.max_active_jobs)
    return min((each for each in limits if each is not None), default=None)


def most(session: Session, queue: JobQueue) -> int | None:
    """How many jobs of this queue may be at the provider at once."""
    return most_at(session.get_one(Credential, queue.credential_id), queue.model)


def most_at(credential: Credential, base: str) -> int | None:
    """How many jobs of a base model may be at the provider at once: as the operator says of the deployment's account,
    else as the provider itself does. None if neither says it.
    """
    configured = get_settings().provider.slots if credential.project_id is None else {}
    by_base = {base_of(name): count for name, count in configured.items()}
    return by_base.get(base, configured.get("*", credential.job_slots.get(base)))


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
    """Let a job wait, without steps, until its queue admits it. A paused one is skipped until it is resumed."""
    queue_id = queue_of(session, job).id
    job.slot, job.queue_position, job.estimated_start_at = Slot.WAITING, None, None
    release(job, None)
    queue = locked(
        session, queue_id
    )  # before the share, as another job that finds the queue full locks it in that order
    share = QueueShare(queue_id=queue_id, project_id=job.project_id)
    session.exec(insert(QueueShare).values(**share.model_dump()).on_conflict_do_nothing())
    make_due(session, queue)


def leave(session: Session, job: Job) -> None:
    """Give the slot back, or stop waiting for one."""
    if job.slot is None:
        return
    job.slot, job.queue_position, job.estimated_start_at = None, None, None
    wake_queue(session, job)


def wake_queue(session: Session, job: Job) -> None:
    """Make the queue's step due if a job waits in it. The lock makes sure that a job about to wait is seen."""
    if job.queue_id is not None and (queue := locked(session, job.queue_id)).due_at is not None:
        make_due(session, queue)


def locked(session: Session, queue_id: str) -> JobQueue:
    """Lock the queue. Lock order: job, then queue. The queue's step, which locks the queue first, skips locked jobs."""
    session.flush()
    return session.get_one(JobQueue, queue_id, with_for_update={"key_share": True}, populate_existing=True)
