"""When a job waits for one of the provider's slots, when it gets one, and what waiting costs."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus, Slot
from shared.jobs.queue import slots
from shared.jobs.queue.models import JobQueue
from shared.jobs.queue.slots import base_of
from shared.projects.models import Credential
from tests.worker.queues import CREATE, admit, begin_to_wait, file_of, held, messages, queued_job, waiting_job
from tests.worker.support import calls, change, ids, ready_job, settings, wait_until_blocked
from tests.world import Person, Sandbox, row, step


def test_without_configured_slots_no_job_waits(alice: Person, sandbox: Sandbox) -> None:
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


def test_slots_that_the_provider_reports_count_like_configured_ones(alice: Person, sandbox: Sandbox) -> None:
    first = ready_job(alice)
    change(Credential, str(row(Job, first).credential_id), job_slots={"gpt-4o-mini": 1})
    step(Job, first)
    second = waiting_job(alice, file_of(first))
    admit()
    assert (held(), row(Job, second).slot) == ([first], Slot.WAITING)
    with settings(TUNERY_PROVIDER__SLOTS='{"*": 2}'):
        admit()
    assert held() == [first, second]


def test_a_waiting_job_starts_when_another_has_ended(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
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


def test_an_empty_queue_has_no_due_step(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
    first = queued_job(alice)
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).due_at is None
    waiting_job(alice, file_of(first))
    admit()
    assert row(JobQueue, ids(JobQueue)[0]).due_at <= utc_now() + timedelta(seconds=30)


def test_a_job_takes_a_free_slot_at_once_if_no_other_waits(alice: Person, sandbox: Sandbox, one_slot: None) -> None:
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


def test_two_jobs_of_a_project_that_begin_to_wait_at_once_do_not_deadlock(
    alice: Person, sandbox: Sandbox, one_slot: None
) -> None:
    first, second = (row(Job, job_id) for job_id in (ready_job(alice), ready_job(alice)))
    with transaction() as session:
        queue_id = slots.queue_of(session, first).id
    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            slots.locked(session, queue_id)  # holds the lock as a job does that finds the queue full
            other = pool.submit(begin_to_wait, second)
            wait_until_blocked(session, other)
            slots.wait(session, session.merge(first))
        other.result()
    assert [row(Job, job.id).slot for job in (first, second)] == [Slot.WAITING] * 2
