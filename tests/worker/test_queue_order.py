"""Whose job is next: priorities, limits per project, positions, and the estimated start."""

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, Slot
from shared.jobs.queue.models import JobQueue
from shared.projects import service as projects
from tests.worker.queues import admit, end, file_of, held, queued_job, rank, shown, waiting_job
from tests.worker.support import change, ids, ready_job, settings
from tests.world import Person, Sandbox, row, step


def test_priority_orders_inside_a_project_and_low_leaves_a_slot_free(alice: Person, sandbox: Sandbox) -> None:
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 2}'):
        low = queued_job(alice, extra_body={"priority": "low"})
        file_id = file_of(low)
        lower = waiting_job(alice, file_id, extra_body={"priority": "low"})
        admit()
        assert held() == [low]
        normal = waiting_job(alice, file_id)
        high = waiting_job(alice, file_id, extra_body={"priority": "high"})
        admit()
        assert held() == sorted([low, high])
        rank()
        positions = [shown(alice, id)["queue_position"] for id in (normal, lower)]
        assert positions == [1, 2]
        assert [shown(alice, id)["priority"] for id in (low, normal, high)] == ["low", "normal", "high"]


def test_an_unknown_priority_is_refused(alice: Person) -> None:
    body = {"model": "gpt-4o-mini", "training_file": alice.upload(), "priority": "highest"}
    assert alice.http.post("/fine_tuning/jobs", json=body).json()["error"]["param"] == "priority"


def test_a_project_gets_no_more_slots_than_its_limit_and_others_do_not_wait_for_it(
    alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    with transaction() as session:
        projects.update_project(session, alice.project_id, max_active_jobs=1)
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 3}'):
        first = ready_job(alice)
        step(Job, first)
        second = waiting_job(alice, file_of(first))
        bobs = queued_job(bob)
        admit()
        assert held() == [first, bobs]
    with transaction() as session:
        projects.update_project(session, alice.project_id, max_active_jobs=0)
    with settings(TUNERY_PROVIDER__MAX_ACTIVE_JOBS="2"):
        third = waiting_job(alice, file_of(first))
        admit()
        assert held() == [first, second, bobs]
        assert row(Job, third).slot is Slot.WAITING


def test_a_waiting_job_shows_its_position_and_estimated_start(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
    first = queued_job(alice)
    admit()
    waiting = [waiting_job(alice, file_of(first)) for _ in range(4)]
    rank()
    assert [shown(alice, id)["queue_position"] for id in [first, *waiting]] == [None, 1, 2, 3, 4]
    assert shown(alice, waiting[0])["estimated_start"] is None
    for _ in range(2):
        end(held()[0])
        admit()
    now = utc_now().timestamp()
    change(JobQueue, ids(JobQueue)[0], freed_at=[now - 200, now - 100])
    rank()
    assert [shown(alice, id)["queue_position"] for id in waiting] == [None, None, 1, 2]
    starts = [shown(alice, id)["estimated_start"] for id in waiting[2:]]
    assert [round((start - now) / 100) for start in starts] == [2, 4]
