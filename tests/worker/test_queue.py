"""The fair queue above the provider's slots: who waits, who is next, and what it costs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs import slots
from shared.jobs.models import Job, JobQueue, JobStatus, Slot
from shared.jobs.slots import base_of
from shared.projects import service as projects
from shared.projects.models import Credential
from tests.worker.levers import calls, change, ids, ready_job, settings, until_another_waits
from tests.worker.queues import admit, begin_to_wait, end, file_of, held, messages, queued_job, rank, shown, waiting_job
from tests.world import Person, Sandbox, row, step

CREATE = "POST /v1/fine_tuning/jobs"
JOBS = "/v1/fine_tuning/jobs"


@pytest.fixture
def one_slot(alice: Person) -> Iterator[None]:
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 1}'):
        yield


def test_without_any_slots_configured_nobody_waits(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    second = waiting_job(alice, file_of(first))
    step(Job, first)
    assert calls(sandbox, CREATE) == 2
    assert held() == [first, second]
    assert row(JobQueue, ids(JobQueue)[0]).due_at is None


def test_a_job_without_a_slot_waits_and_costs_no_call_and_no_step(
    alice: Person, sandbox: Sandbox, one_slot: None
) -> None:
    first = queued_job(alice)
    admit()
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    admit()
    step(Job, first)
    job = row(Job, second)
    assert (job.status, job.slot, job.provider_job_id, job.due_at) == (JobStatus.QUEUED, Slot.WAITING, None, None)
    assert calls(sandbox, CREATE) == 1
    assert messages(first) == ["A slot is free: the job goes to the provider"]
    assert messages(second) == ["Waiting for a free slot at the provider: gpt-4o-mini has 1 running and 0 waiting"]


def test_places_that_the_provider_tells_of_count_like_configured_ones(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    change(Credential, str(row(Job, first).credential_id), job_slots={"gpt-4o-mini": 1})
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    admit()
    assert (held(), row(Job, second).slot) == ([first], Slot.WAITING)
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 2}'):
        admit()
    assert held() == [first, second]


def test_it_starts_when_another_has_ended(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
    first = queued_job(alice)
    admit()
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    admit()
    sandbox.move(row(Job, first).provider_job_id, status="succeeded")
    step(Job, first)
    assert row(JobQueue, ids(JobQueue)[0]).due_at <= utc_now()
    admit()
    step(Job, second)
    assert row(Job, second).provider_job_id in {job.id for job in sandbox.jobs()}
    assert messages(second)[-1] == "A slot is free: the job goes to the provider"


def test_a_queue_without_anybody_in_it_has_no_steps(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
    first = queued_job(alice)
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).due_at is None
    waiting_job(alice, file_of(first))
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).due_at <= utc_now() + timedelta(seconds=30)


def test_who_finds_a_slot_free_and_nobody_waiting_takes_it_at_once(
    alice: Person, sandbox: Sandbox, one_slot: None
) -> None:
    first = ready_job(alice)
    step(Job, first)
    assert (held(), calls(sandbox, CREATE), messages(first)) == ([first], 1, [])
    second = waiting_job(alice, file_of(first))
    assert (held(), row(Job, second).slot) == ([first], Slot.WAITING)


def test_a_snapshot_and_its_alias_share_the_slots(alice: Person, sandbox: Sandbox) -> None:
    assert base_of("gpt-4o-mini-2024-07-18") == base_of("ft:gpt-4o-mini-2024-07-18:org::id") == "gpt-4o-mini"
    with settings(TUNERY_PROVIDER__SLOTS='{"gpt-4o-mini-2024-07-18": 1, "*": 5}'):
        first = queued_job(alice)
        second = waiting_job(alice, file_of(first), model="gpt-4o-mini-2024-07-18")
        other = waiting_job(alice, file_of(first), model="gpt-4.1-mini")
        admit()
    assert held() == [first, other]
    assert row(Job, second).slot is Slot.WAITING


def test_a_waiting_job_is_cancelled_at_once_and_without_a_call(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    assert alice.openai.fine_tuning.jobs.cancel(second).status == "cancelled"
    assert row(Job, second).slot is None
    alice.openai.fine_tuning.jobs.cancel(first)  # has a slot, and is not at the provider yet
    admit()
    assert (calls(sandbox, CREATE), held()) == (0, [])


def test_a_waiting_job_that_is_paused_is_passed_over_and_keeps_its_turn(
    alice: Person, sandbox: Sandbox, one_slot: None
) -> None:
    first = queued_job(alice)
    second, third = waiting_job(alice, file_of(first)), waiting_job(alice, file_of(first))
    admit()
    assert alice.http.post(f"/fine_tuning/jobs/{second}/pause").json()["status"] == "paused"
    rank()
    assert (shown(alice, second)["queue_position"], shown(alice, third)["queue_position"]) == (None, 1)
    assert alice.http.post(f"/fine_tuning/jobs/{second}/resume").json()["status"] == "queued"
    rank()
    assert (shown(alice, second)["queue_position"], shown(alice, third)["queue_position"]) == (1, 2)
    assert calls(sandbox, CREATE) == 0


def test_a_job_with_a_slot_that_is_paused_before_it_is_created_gives_it_to_another(
    alice: Person, sandbox: Sandbox, one_slot: None
) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    assert held() == [first]
    alice.http.post(f"/fine_tuning/jobs/{first}/pause").raise_for_status()
    admit()
    assert held() == [second]
    assert (row(Job, first).status, row(Job, first).due_at) == (JobStatus.PAUSED, None)


def test_a_paused_job_at_the_provider_leaves_its_slot_to_others(
    alice: Person, sandbox: Sandbox, one_slot: None
) -> None:
    first = queued_job(alice)
    admit()
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    sandbox.move(row(Job, first).provider_job_id, status="paused")
    step(Job, first)
    admit()
    assert row(Job, second).slot is Slot.HELD


def test_a_file_of_a_waiting_job_cannot_be_deleted_also_while_it_is_paused(alice: Person, one_slot: None) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    alice.http.post(f"/fine_tuning/jobs/{second}/pause").raise_for_status()
    end(first)
    assert alice.http.delete(f"/files/{file_of(first)}").json()["error"]["code"] == "file_in_use"


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
        told = [shown(alice, id)["queue_position"] for id in (normal, lower)]
        assert told == [1, 2]
        assert [shown(alice, id)["priority"] for id in (low, normal, high)] == ["low", "normal", "high"]


def test_a_priority_that_is_none_is_refused(alice: Person) -> None:
    body = {"model": "gpt-4o-mini", "training_file": alice.upload(), "priority": "highest"}
    assert alice.http.post("/fine_tuning/jobs", json=body).json()["error"]["param"] == "priority"


def test_a_project_has_no_more_slots_than_it_may_and_others_do_not_wait_for_it(
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


def test_positions_and_the_expected_start_are_told(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
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


def test_two_jobs_of_a_project_that_begin_to_wait_at_once_do_not_hold_each_other_up(
    alice: Person, sandbox: Sandbox, one_slot: None
) -> None:
    first, second = (row(Job, job_id) for job_id in (ready_job(alice), ready_job(alice)))
    with transaction() as session:
        queue_id = slots.queue_of(session, first).id
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            slots.locked(session, queue_id)  # as one that finds it full
            other = pool.submit(begin_to_wait, second)
            until_another_waits(session, other)
            slots.wait(session, session.merge(first))
        other.result()
    assert [row(Job, job.id).slot for job in (first, second)] == [Slot.WAITING] * 2
