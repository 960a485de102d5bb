"""Jobs that are cancelled or paused while they wait for a slot or have one."""

from shared.jobs.models import Job, JobStatus, Slot
from tests.worker.queues import CREATE, admit, end, file_of, held, queued_job, rank, shown, waiting_job
from tests.worker.support import calls
from tests.world import Person, Sandbox, row, step


def test_a_waiting_job_is_cancelled_at_once_and_without_a_call(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    assert alice.openai.fine_tuning.jobs.cancel(second).status == "cancelled"
    assert row(Job, second).slot is None
    alice.openai.fine_tuning.jobs.cancel(first)  # it has a slot but is not at the provider yet
    admit()
    assert (calls(sandbox, CREATE), held()) == (0, [])


def test_a_paused_waiting_job_is_skipped_and_keeps_its_position(
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


def test_a_job_that_is_paused_before_the_provider_has_it_gives_its_slot_to_another(
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


def test_a_job_that_is_paused_at_the_provider_gives_its_slot_to_another(
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


def test_the_file_of_a_waiting_job_cannot_be_deleted_even_while_it_is_paused(alice: Person, one_slot: None) -> None:
    first = queued_job(alice)
    second = waiting_job(alice, file_of(first))
    admit()
    alice.http.post(f"/fine_tuning/jobs/{second}/pause").raise_for_status()
    end(first)
    assert alice.http.delete(f"/files/{file_of(first)}").json()["error"]["code"] == "file_in_use"
