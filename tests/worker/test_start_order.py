"""Jobs of one project with equal priority start in the order in which they were made, in whatever order steps end."""

import random
from datetime import timedelta

import pytest

from shared.datasets.models import Dataset
from shared.db.times import utc_now
from shared.jobs.models import Job, Slot
from shared.jobs.queue.models import JobQueue
from tests.worker.queues import admit, end, file_of, held, queued_job, shown
from tests.worker.support import change, ids, settings
from tests.world import Person, Sandbox, row, step

WAITS = "it waits for the check of"


@pytest.fixture
def file_id(alice: Person, sandbox: Sandbox, one_slot: None) -> str:
    """A file that is at the provider already; no job waits or runs."""
    first = queued_job(alice)
    admit()
    end(first)
    admit()
    return file_of(first)


def wait_again(job_id: str) -> bool:
    """Take a step of the queue, and return whether it is due again soon, since a job is held back."""
    [queue_id] = ids(JobQueue)
    change(JobQueue, queue_id, due_at=utc_now())
    step(JobQueue, queue_id)
    due_at = row(JobQueue, queue_id).due_at
    assert row(Job, job_id).slot is Slot.WAITING
    return due_at is not None and due_at - utc_now() < timedelta(seconds=2)


def test_a_job_takes_no_slot_while_an_older_one_is_about_to_ask(alice: Person, file_id: str) -> None:
    older, younger = alice.create_job(training_file=file_id), alice.create_job(training_file=file_id)
    step(Job, younger)
    assert wait_again(younger)
    step(Job, older)
    admit()
    assert held() == [older]
    assert row(Job, younger).slot is Slot.WAITING
    end(older)
    admit()
    assert held() == [younger]


def test_a_job_whose_step_is_under_way_counts_too(alice: Person, file_id: str) -> None:
    older, younger = alice.create_job(training_file=file_id), alice.create_job(training_file=file_id)
    change(Job, older, failures=1, due_at=utc_now() + timedelta(minutes=5))
    step(Job, younger)
    assert wait_again(younger)
    change(Job, older, failures=2)  # it fails again and again: nobody waits for it
    admit()
    assert held() == [younger]


def test_nobody_waits_for_a_job_that_waits_for_its_file(alice: Person, bob: Person, file_id: str) -> None:
    unchecked = alice.upload()
    older = alice.create_job(training_file=unchecked)
    younger = alice.create_job(training_file=file_id)
    step(Job, older)
    step(Job, younger)
    assert held() == [younger]
    [reason] = [event.message for event in alice.openai.fine_tuning.jobs.list_events(older) if WAITS in event.message]
    assert unchecked in reason
    assert not [e for e in alice.openai.fine_tuning.jobs.list_events(younger) if WAITS in e.message]
    assert row(Dataset, unchecked).status == "uploaded"


def test_nobody_waits_for_another_project_or_a_lower_priority(alice: Person, bob: Person, file_id: str) -> None:
    bob.create_job()
    alice.create_job(training_file=file_id, extra_body={"priority": "low"})
    younger = alice.create_job(training_file=file_id)
    step(Job, younger)
    assert held() == [younger]
    assert shown(alice, younger)["priority"] == "normal"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("slots", [1, 2])
def test_bursts_start_in_the_order_in_which_they_were_made(alice: Person, file_id: str, slots: int, seed: int) -> None:
    chance = random.Random(seed)
    with settings(TUNERY_PROVIDER__SLOTS=f'{{"*": {slots}}}'):
        made = [alice.create_job(training_file=file_id) for _ in range(6)]
        to_step, started = chance.sample(made, len(made)), list[str]()
        while len(started) < len(made):
            if to_step and chance.random() < 0.5:
                step(Job, to_step.pop())
            else:
                [queue_id] = ids(JobQueue)
                change(JobQueue, queue_id, due_at=utc_now())
                step(JobQueue, queue_id)
            started += sorted(set(held()) - set(started))
            if held() and chance.random() < 0.3:
                end(chance.choice(held()))
        assert started == made
