"""The step of any row: claimed before, recorded after, counted always, and dropped when it comes too late."""

from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlmodel import col

from shared.database import transaction
from shared.datasets.models import Dataset, DatasetStatus, ProviderFile
from shared.jobs.models import Job, JobRequest, JobStatus
from shared.settings import get_settings
from shared.tables import claim, utc_now
from tests.servers import Receiver
from tests.worker.levers import (
    calls,
    change,
    ids,
    lease_during,
    let_the_grace_pass,
    ready_job,
    running_job,
    settings,
    step_and_die,
    step_while,
)
from tests.world import STEPS, Person, Sandbox, lines, row, step
from worker import datasets, jobs, steps, uploads
from worker.steps import Step, backoff, run

CREATE = "POST /v1/fine_tuning/jobs"


def fail(*_: object) -> Any:
    raise ZeroDivisionError("nobody foresaw this")


BROKEN = {
    "plan": replace(jobs.advance, plan=fail),
    "ask": replace(jobs.advance, ask=fail),
    "record": replace(jobs.advance, record=fail),
}


def take(broken: Step[Any, Any, Any], job_id: str) -> None:
    change(Job, job_id, due_at=utc_now())
    run(broken, job_id)


@pytest.mark.parametrize("part", BROKEN)
def test_a_step_that_raises_is_counted_and_put_off(alice: Person, sandbox: Sandbox, part: str) -> None:
    job_id, _ = running_job(alice, sandbox)
    for count in (1, 2, 3):
        take(BROKEN[part], job_id)
        job = row(Job, job_id)
        assert job.failures == count
        wait = get_settings().retry_base * 2**count
        assert wait * 0.8 - timedelta(seconds=1) < job.due_at - utc_now() < wait * 1.2


@pytest.mark.parametrize("part", BROKEN)
def test_a_step_that_keeps_raising_ends_in_a_failed_state_with_a_reason(
    alice: Person, sandbox: Sandbox, part: str
) -> None:
    job_id, _ = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="3"):
        for _ in range(4):
            assert row(Job, job_id).status is JobStatus.RUNNING
            take(BROKEN[part], job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "internal_error")
    assert job_id in job.error.message


def test_a_job_that_is_given_up_is_cancelled_at_the_provider(alice: Person, sandbox: Sandbox) -> None:
    job_id, provider_job_id = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="1"):
        for _ in range(2):
            take(BROKEN["ask"], job_id)
    assert row(Job, job_id).error["code"] == "internal_error"
    for _ in range(2):
        step(Job, job_id)
    assert sandbox.openai.fine_tuning.jobs.retrieve(provider_job_id).status == "cancelled"
    job = row(Job, job_id)
    assert (job.status, job.due_at, job.place) == (JobStatus.FAILED, None, None)


def test_one_that_cannot_be_cancelled_either_is_let_be(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="1"):
        for _ in range(4):
            take(BROKEN["ask"], job_id)
    job = row(Job, job_id)
    assert (job.status, job.due_at, job.request, job.place) == (JobStatus.FAILED, None, None, None)


def test_one_of_which_nobody_knows_is_looked_for_and_cancelled(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    with settings(TUNERY_MAX_STEP_FAILURES="1"):
        step_and_die(jobs.advance, job_id)
        change(Job, job_id, failures=2)
        step(Job, job_id)
        assert row(Job, job_id).error["code"] == "internal_error"
    let_the_grace_pass(job_id)
    for _ in range(3):
        step(Job, job_id)
    assert [job.status for job in sandbox.jobs()] == ["cancelled"]
    assert (row(Job, job_id).status, row(Job, job_id).due_at) == (JobStatus.FAILED, None)


def test_a_step_whose_worker_is_killed_again_and_again_ends_too(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="2"):
        for _ in range(3):
            assert row(Job, job_id).status is JobStatus.RUNNING
            step_and_die(jobs.advance, job_id)
    assert row(Job, job_id).error["code"] == "internal_error"


def test_a_step_that_goes_well_again_begins_to_count_anew(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN["ask"], job_id)
    assert row(Job, job_id).failures == 1
    step(Job, job_id)
    assert row(Job, job_id).failures == 0


def test_a_record_that_comes_too_late_is_dropped_and_the_job_is_still_there_once(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id = ready_job(alice)
    taken = utc_now() + timedelta(minutes=1)
    step_while(jobs.advance, job_id, lambda: change(Job, job_id, due_at=taken))  # another has it by now
    job = row(Job, job_id)
    assert (job.provider_job_id, job.due_at) == (None, taken)
    let_the_grace_pass(job_id)
    step(Job, job_id)
    (theirs,) = sandbox.jobs()
    assert row(Job, job_id).provider_job_id == theirs.id


def test_a_step_that_fails_too_late_leaves_the_lease_of_another_alone(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    taken = utc_now() + timedelta(minutes=1)

    def lose_it_and_fail() -> None:
        change(Job, job_id, due_at=taken)
        fail()

    step_while(jobs.advance, job_id, lose_it_and_fail)
    assert (row(Job, job_id).due_at, row(Job, job_id).failures) == (taken, 1)


@pytest.fixture
def renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bit of headway is written at once."""
    monkeypatch.setattr(steps, "RENEW_EVERY", 0.0)


def test_a_check_and_a_count_keep_their_row_as_long_as_they_make_headway(alice: Person, renewing: None) -> None:
    dataset_id = alice.upload()
    for _ in range(2):
        first, last = lease_during(datasets.advance, dataset_id)
        assert first < last
    assert alice.http.get(f"/datasets/{dataset_id}").json()["tokens_counted"]
    assert (row(Dataset, dataset_id).due_at, row(Dataset, dataset_id).failures) == (None, 0)


def test_a_copy_keeps_its_row_too(alice: Person, sandbox: Sandbox, receiver: Receiver, renewing: None) -> None:
    receiver.body = lines(20)
    body = {"url": receiver.url, "split": {"count": 3}}
    made = alice.http.post("/datasets", json=body).json()
    first, last = lease_during(datasets.advance, made["id"])
    assert first < last
    step(Dataset, made["id"])
    first, last = lease_during(datasets.advance, made["validation_dataset"])
    assert first < last
    assert row(Dataset, made["validation_dataset"]).bytes > 0


def test_a_file_on_its_way_to_the_provider_keeps_its_row_too(alice: Person, sandbox: Sandbox, renewing: None) -> None:
    alice.create_job()
    step(Dataset, ids(Dataset)[0])
    step(Job, ids(Job)[0])
    (file_id,) = ids(ProviderFile)
    first, last = lease_during(uploads.upload, file_id)
    assert first < last
    assert row(ProviderFile, file_id).provider_file_id == sandbox.files()[0].id


def test_a_step_that_has_lost_its_row_stops_and_leaves_it_alone(alice: Person, renewing: None) -> None:
    dataset_id = alice.upload()
    taken = utc_now() + timedelta(minutes=1)

    def lose_it(plan: Any) -> Any:
        change(Dataset, dataset_id, due_at=taken)
        answer = datasets.advance.ask(plan)
        raise AssertionError(f"it went on to {answer}")

    change(Dataset, dataset_id, due_at=utc_now())
    run(replace(datasets.advance, ask=lose_it), dataset_id)
    lost = row(Dataset, dataset_id)
    assert (lost.due_at, lost.failures, lost.status) == (taken, 1, DatasetStatus.UPLOADED)


def test_who_is_just_changing_the_row_is_waited_for(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, due_at=utc_now())
    with transaction() as session:
        session.get_one(Job, job_id, with_for_update=True)
        rung = Thread(target=run, args=(jobs.advance, job_id))
        rung.start()
        rung.join(0.1)  # it comes while the row is locked
    rung.join()
    assert row(Job, job_id).provider_job_id


def test_nobody_takes_what_another_holds_until_its_lease_has_run_out(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, due_at=utc_now())
    with transaction() as session:
        assert claim(session, Job, col(Job.id) == job_id, timedelta(minutes=1)) is not None
    STEPS[Job](job_id)
    assert calls(sandbox, CREATE) == 0
    change(Job, job_id, due_at=utc_now())
    STEPS[Job](job_id)
    assert calls(sandbox, CREATE) == 1


def test_nobody_waits_for_a_row_that_is_locked(alice: Person, sandbox: Sandbox) -> None:
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


def test_a_pause_that_is_asked_for_while_a_step_is_put_off_is_kept_and_does_not_hurry_it(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN["ask"], job_id)
    before = row(Job, job_id)
    alice.openai.fine_tuning.jobs.pause(job_id)
    after = row(Job, job_id)
    assert (after.failures, after.due_at, after.request) == (1, before.due_at, JobRequest.PAUSE)


@pytest.mark.parametrize("part", BROKEN)
def test_a_cancel_does_not_wait_for_a_step_that_is_put_off(alice: Person, sandbox: Sandbox, part: str) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN[part], job_id)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    after = row(Job, job_id)
    assert (after.failures, after.request) == (1, JobRequest.CANCEL)
    assert after.due_at <= utc_now()


def test_a_cancel_leaves_a_step_under_way_alone(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    take(BROKEN["ask"], job_id)
    change(Job, job_id, due_at=utc_now())
    with transaction() as session:
        held = claim(session, Job, col(Job.id) == job_id, timedelta(minutes=1))
        assert held is not None
    alice.openai.fine_tuning.jobs.cancel(job_id)
    assert row(Job, job_id).due_at == held.due_at


def test_waits_double_up_to_a_limit_and_never_are_the_same_for_all(server: str) -> None:
    base, cap = get_settings().retry_base, get_settings().retry_cap
    for count in range(40):
        middle = min(cap, base * 2.0 ** min(count, 30))
        waits = {backoff(count) for _ in range(20)}
        assert middle * 0.8 <= min(waits) < max(waits) <= middle * 1.2


def test_the_far_side_may_ask_for_an_hour_and_no_more(server: str) -> None:
    assert backoff(0, timedelta(minutes=50)) == timedelta(minutes=50)
    assert backoff(0, timedelta(days=365)) == timedelta(hours=1)
    assert backoff(20, timedelta(seconds=1)) > timedelta(minutes=3)
