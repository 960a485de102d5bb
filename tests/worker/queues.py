"""Helpers for tests of the queue: jobs that wait for a slot, and the queue's step."""

from typing import Any

from sqlalchemy import text
from sqlmodel import select

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobEvent, Slot
from shared.jobs.queue import slots
from shared.jobs.queue.models import JobQueue
from shared.projects.models import Project
from tests.worker.support import change, ids, ready_job
from tests.world import Person, row, step

CREATE = "POST /v1/fine_tuning/jobs"
JOBS = "/v1/fine_tuning/jobs"


def queued_job(person: Person, **values: Any) -> str:
    """A job whose files are uploaded and that waits for the queue's step: its project's active jobs are limited."""
    job_id = ready_job(person, **values)
    change(Project, person.project_id, max_active_jobs=1000)
    step(Job, job_id)
    change(Project, person.project_id, max_active_jobs=None)
    assert row(Job, job_id).slot is Slot.WAITING
    return job_id


def waiting_job(person: Person, file_id: str, **values: Any) -> str:
    """A job whose files the provider has already, waiting for a slot."""
    job_id = person.create_job(training_file=file_id, **values)
    step(Job, job_id)
    return job_id


def admit() -> None:
    for queue_id in ids(JobQueue):
        step(JobQueue, queue_id)


def rank() -> None:
    """Run the queue's step so that it writes positions anew."""
    change(JobQueue, ids(JobQueue)[0], ranked_at=None, due_at=utc_now())
    admit()


def end(job_id: str) -> None:
    """Make the job succeeded without the provider."""
    with transaction() as session:
        session.execute(
            text("update jobs set status = 'succeeded', slot = null, due_at = null where id = :id"), {"id": job_id}
        )


def held() -> list[str]:
    with transaction() as session:
        return list(session.exec(select(Job.id).where(Job.slot == Slot.HELD).order_by(Job.id)))


def file_of(job_id: str) -> str:
    return str(row(Job, job_id).training_file)


def shown(person: Person, job_id: str) -> dict[str, Any]:
    return dict(person.http.get(f"/fine_tuning/jobs/{job_id}").json())


def messages(job_id: str) -> list[str]:
    with transaction() as session:
        query = select(JobEvent.message).where(JobEvent.job_id == job_id).order_by(JobEvent.id)
        return [message for message in session.exec(query) if "slot" in message]


def begin_to_wait(job: Job) -> None:
    with transaction() as session:
        slots.wait(session, session.merge(job))
