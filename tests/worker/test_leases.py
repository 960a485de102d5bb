"""Leases: a row that is held is not claimed, and a record that comes too late is dropped."""

from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlmodel import col

from shared.database import transaction
from shared.datasets.models import Dataset, DatasetStatus, ProviderFile
from shared.db.claims import claim
from shared.db.times import utc_now
from shared.jobs.models import Job
from tests.servers import Receiver
from tests.worker.support import calls, change, ids, lease_during, pass_create_grace, ready_job, running_job, step_while
from tests.worker.test_steps import CREATE, fail
from tests.world import STEPS, Person, Sandbox, lines, row, step
from worker.datasets import dataset_step, upload_to_provider
from worker.jobs import job_step
from worker.runtime import steps
from worker.runtime.steps import run


def test_a_record_that_comes_too_late_is_dropped_and_the_job_is_still_there_once(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id = ready_job(alice)
    taken = utc_now() + timedelta(minutes=1)
    step_while(job_step.advance, job_id, lambda: change(Job, job_id, due_at=taken))  # another has it by now
    job = row(Job, job_id)
    assert (job.provider_job_id, job.due_at) == (None, taken)
    pass_create_grace(job_id)
    step(Job, job_id)
    (theirs,) = sandbox.jobs()
    assert row(Job, job_id).provider_job_id == theirs.id


def test_a_step_that_raises_too_late_does_not_touch_the_lease_of_another(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    taken = utc_now() + timedelta(minutes=1)

    def lose_it_and_fail() -> None:
        change(Job, job_id, due_at=taken)
        fail()

    step_while(job_step.advance, job_id, lose_it_and_fail)
    assert (row(Job, job_id).due_at, row(Job, job_id).failures) == (taken, 1)


@pytest.fixture
def renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bit of headway is written at once."""
    monkeypatch.setattr(steps, "LEASE_RENEWAL_SECONDS", 0.0)


def test_a_check_and_a_count_renew_their_lease_while_they_read(alice: Person, renewing: None) -> None:
    dataset_id = alice.upload()
    for _ in range(2):
        first, last = lease_during(dataset_step.advance, dataset_id)
        assert first < last
    assert alice.http.get(f"/datasets/{dataset_id}").json()["tokens_counted"]
    assert (row(Dataset, dataset_id).due_at, row(Dataset, dataset_id).failures) == (None, 0)


def test_a_fetch_renews_its_lease_too(alice: Person, sandbox: Sandbox, receiver: Receiver, renewing: None) -> None:
    receiver.body = lines(20)
    body = {"url": receiver.url, "split": {"count": 3}}
    made = alice.http.post("/datasets", json=body).json()
    first, last = lease_during(dataset_step.advance, made["id"])
    assert first < last
    step(Dataset, made["id"])
    first, last = lease_during(dataset_step.advance, made["validation_dataset"])
    assert first < last
    assert row(Dataset, made["validation_dataset"]).bytes > 0


def test_an_upload_to_the_provider_renews_its_lease_too(alice: Person, sandbox: Sandbox, renewing: None) -> None:
    alice.create_job()
    step(Dataset, ids(Dataset)[0])
    step(Job, ids(Job)[0])
    (file_id,) = ids(ProviderFile)
    first, last = lease_during(upload_to_provider.upload, file_id)
    assert first < last
    assert row(ProviderFile, file_id).provider_file_id == sandbox.files()[0].id


def test_a_poll_renews_its_lease_between_calls(alice: Person, sandbox: Sandbox, renewing: None) -> None:
    job_id, _ = running_job(alice, sandbox)
    first, last = lease_during(job_step.advance, job_id)
    assert first < last


def test_a_step_that_has_lost_its_lease_stops_and_does_not_touch_the_row(alice: Person, renewing: None) -> None:
    dataset_id = alice.upload()
    taken = utc_now() + timedelta(minutes=1)

    def lose_it(plan: Any) -> Any:
        change(Dataset, dataset_id, due_at=taken)
        answer = dataset_step.advance.call(plan)
        raise AssertionError(f"it went on to {answer}")

    change(Dataset, dataset_id, due_at=utc_now())
    run(replace(dataset_step.advance, call=lose_it), dataset_id)
    lost = row(Dataset, dataset_id)
    assert (lost.due_at, lost.failures, lost.status) == (taken, 1, DatasetStatus.UPLOADED)


def test_a_row_that_is_locked_for_a_moment_is_claimed_afterwards(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, due_at=utc_now())
    with transaction() as session:
        session.get_one(Job, job_id, with_for_update=True)
        enqueued = Thread(target=run, args=(job_step.advance, job_id))
        enqueued.start()
        enqueued.join(0.1)  # it comes while the row is locked
    enqueued.join()
    assert row(Job, job_id).provider_job_id


def test_a_held_row_is_claimed_only_after_its_lease_has_run_out(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, due_at=utc_now())
    with transaction() as session:
        assert claim(session, Job, col(Job.id) == job_id, timedelta(minutes=1)) is not None
    STEPS[Job](job_id)
    assert calls(sandbox, CREATE) == 0
    change(Job, job_id, due_at=utc_now())
    STEPS[Job](job_id)
    assert calls(sandbox, CREATE) == 1


def test_a_step_does_not_wait_long_for_a_locked_row(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, due_at=utc_now())
    with transaction() as session:
        assert claim(session, Job, col(Job.id) == job_id, timedelta()) is not None
        STEPS[Job](job_id)
        assert calls(sandbox, CREATE) == 0


def test_an_early_a_late_and_a_doubled_message_change_nothing(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, due_at=utc_now() + timedelta(minutes=1))
    STEPS[Job](job_id)
    assert calls(sandbox, CREATE) == 0
    alice.openai.fine_tuning.jobs.cancel(job_id)
    before = row(Job, job_id).model_dump()
    for _ in range(2):
        STEPS[Job](job_id)
        STEPS[Job]("ftjob-nobody")
    assert row(Job, job_id).model_dump() == before
