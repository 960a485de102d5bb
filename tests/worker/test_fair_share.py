"""Who gets the free slots: projects by weight, whoever came late too."""

from collections import Counter

from sqlmodel import select

from shared.database import transaction
from shared.jobs.models import Job, Slot
from shared.projects import service as projects
from tests.worker.queues import admit, end, queued_job
from tests.worker.support import settings
from tests.world import Person, Sandbox

CREATE = "POST /v1/fine_tuning/jobs"
JOBS = "/v1/fine_tuning/jobs"


def rounds(slots: int, count: int) -> Counter[str]:
    """So many times all jobs that have a slot end; how many each project was given."""
    given: Counter[str] = Counter()
    for _ in range(count):
        admit()
        with transaction() as session:
            found = session.exec(select(Job.project_id, Job.id).where(Job.slot == Slot.HELD)).all()
        assert len(found) <= slots
        given.update(project_id for project_id, _ in found)
        for _, job_id in found:
            end(job_id)
    return given


def copies(job_id: str, count: int) -> None:
    """More jobs like this one, in the same queue."""
    with transaction() as session:
        job = session.get_one(Job, job_id)
        for _ in range(count):
            session.add(Job(**job.model_dump(exclude={"id", "queue_position", "estimated_start_at"})))


def test_free_slots_are_shared_by_weight_and_many_jobs_give_no_more(
    alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    with transaction() as session:
        projects.update_project(session, bob.project_id, weight=2)
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 3}'):
        copies(queued_job(alice), 60)
        copies(queued_job(bob), 20)
        given = rounds(3, 10)
    assert (given[alice.project_id], given[bob.project_id]) == (10, 20)


def test_who_comes_late_is_in_the_next_round_and_has_no_credit(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 2}'):
        copies(queued_job(alice), 30)
        rounds(2, 8)
        copies(queued_job(bob), 10)
        given = rounds(2, 1)
        assert given[bob.project_id] >= 1
        given += rounds(2, 4)
    assert given[bob.project_id] - given[alice.project_id] in {0, 2}  # at most the first turn goes to who comes
