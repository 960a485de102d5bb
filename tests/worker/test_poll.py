"""A look at how a job is doing at the provider."""

from datetime import timedelta
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import Job, JobEvent, JobStatus, Watch
from shared.settings import get_settings
from tests.worker.support import calls, change, ids, running_job, settings
from tests.world import Person, Sandbox, row, step
from worker.jobs.actions.poll import MAX_NOT_FOUND_POLLS
from worker.jobs.fetch import MAX_REFUSED_EVENT_POLLS

JOB = "/v1/fine_tuning/jobs/*"


def told(person: Person, job_id: str) -> list[Any]:
    """The provider's events as the caller sees them, the oldest first; ours are left out."""
    events = list(person.openai.fine_tuning.jobs.list_events(job_id, limit=1000))[::-1]
    return [event for event in events if row(JobEvent, event.id).provider_event_id is not None]


def was_just_listed() -> None:
    """As if the list had just told of the job's status."""
    for watch_id in ids(Watch):
        change(Watch, watch_id, listed_at=utc_now())


def test_events_of_all_pages_are_there_once_each_and_in_order_in_our_words(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    often = {"n_epochs": 30, "batch_size": 1}  # 360 steps: four pages
    job_id, theirs = running_job(alice, sandbox, training_file=file_id, hyperparameters=often)
    for step_number in (150, 151, 290):
        sandbox.move(theirs, step=step_number)
        step(Job, job_id)
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    expected = list(sandbox.openai.fine_tuning.jobs.list_events(theirs, limit=100))[::-1]
    copy = sandbox.openai.fine_tuning.jobs.retrieve(theirs).training_file
    ours = [event.message.replace(theirs, job_id).replace(copy, file_id) for event in expected]
    events = told(alice, job_id)
    assert len(events) > 360
    assert [event.message for event in events] == ours
    assert [(event.type, event.created_at, event.data or {}) for event in events] == [
        (event.type, event.created_at, event.data or {}) for event in expected
    ]
    assert {f"Created fine-tuning job: {job_id}", f"Validating training file: {file_id}"} <= set(ours)


def test_a_look_at_a_job_with_nothing_new_costs_two_calls_and_changes_nothing(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    before, events = sandbox.http.get("/sandbox/requests").json()["total"], told(alice, job_id)
    step(Job, job_id)
    assert sandbox.http.get("/sandbox/requests").json()["total"] - before == 2
    assert told(alice, job_id) == events


def test_a_job_longer_than_the_events_that_one_statement_can_hold_succeeds(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    event = {"object": "fine_tuning.job.event", "created_at": 1, "level": "info", "type": "message", "message": "Step"}
    many = [event | {"id": f"ftevent-{number}"} for number in range(7400)]
    sandbox.move(theirs, status="succeeded")
    sandbox.arm("GET", f"{JOB}/events", status=200, body={"object": "list", "data": many, "has_more": False})
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED
    assert [row(JobEvent, id).provider_event_id for id in (ids(JobEvent)[-1], ids(JobEvent)[-7400])] == [
        "ftevent-0",
        "ftevent-7399",
    ]


def test_metrics_become_progress(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox, hyperparameters={"n_epochs": 2, "batch_size": 3})
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["progress"] is None
    sandbox.move(theirs, step=6)
    step(Job, job_id)
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["progress"] == 6 / 8
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert alice.http.get(f"/fine_tuning/jobs/{job_id}").json()["progress"] == 1


def test_what_the_provider_made_of_the_job_is_shown(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    job, real = alice.openai.fine_tuning.jobs.retrieve(job_id), sandbox.openai.fine_tuning.jobs.retrieve(theirs)
    assert (job.status, job.model, job.seed) == ("running", "gpt-4o-mini-2024-07-18", real.seed)
    assert job.hyperparameters == real.hyperparameters
    assert job.hyperparameters.n_epochs != "auto"
    assert job.method == real.method


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("paused", "paused"), ("canceled", "cancelled"), ("pending", "queued"), ("notRunning", "queued")],
)
def test_words_that_openai_does_not_know_are_understood(
    alice: Person, sandbox: Sandbox, theirs: str, ours: str
) -> None:
    job_id, _ = running_job(alice, sandbox)
    sandbox.arm("GET", JOB, body={"status": theirs})
    step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).provider_status) == (ours, theirs)


TROUBLE: list[dict[str, Any]] = [
    *({"status": status} for status in (400, 401, 403, 409, 429, 500, 502, 503)),
    {"drop": "before"},
    {"status": 200, "body": "<html>Please log in</html>"},
    {"status": 200, "body": {}},
    {"status": 200, "body": []},
]


@pytest.mark.parametrize("path", [JOB, f"{JOB}/events"])
def test_no_trouble_while_looking_ever_fails_the_job(alice: Person, sandbox: Sandbox, path: str) -> None:
    job_id, theirs = running_job(alice, sandbox)
    with settings(TUNERY_MAX_STEP_FAILURES="2"):
        for fault in TROUBLE:
            sandbox.arm("GET", path, **fault)
            before = row(Job, job_id).retries
            step(Job, job_id)
            job = row(Job, job_id)
            assert (job.status, job.failures) == (JobStatus.RUNNING, 0), fault
            if fault.get("status") == 429:  # it is about the account, and not about the job
                assert job.retries == before
            elif path != JOB and fault.get("status") in {400, 403}:  # there are none to be had
                assert job.retries == 0
            else:
                assert job.retries == before + 1, fault
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_trouble_is_told_once_and_each_look_comes_later_than_the_one_before(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    sandbox.arm("GET", JOB, times=4, status=503)
    waits = []
    for _ in range(4):
        step(Job, job_id)
        waits.append(row(Job, job_id).due_at - utc_now())
    assert waits == sorted(waits)
    warnings = [event for event in alice.openai.fine_tuning.jobs.list_events(job_id) if event.level == "warn"]
    assert [event.message for event in warnings] == ["Waiting for the provider: Armed by a test."]


def test_a_job_that_vanished_fails_when_it_has_been_looked_for_long_enough(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    sandbox.reset()
    for _ in range(MAX_NOT_FOUND_POLLS):
        step(Job, job_id)
        assert row(Job, job_id).status is JobStatus.RUNNING
    step(Job, job_id)
    assert row(Job, job_id).error["code"] == "job_missing_at_provider"


def test_looks_that_failed_otherwise_do_not_count_against_a_job_that_is_not_found_once(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, _ = running_job(alice, sandbox)
    change(Job, job_id, retries=50)
    sandbox.arm("GET", JOB, status=404)
    step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).not_found_count) == (JobStatus.RUNNING, 1)
    step(Job, job_id)
    assert (row(Job, job_id).retries, row(Job, job_id).not_found_count) == (0, 0)


@pytest.mark.parametrize("fully", [True, False])
def test_a_provider_without_events_does_not_hold_up_or_fail_a_job(alice: Person, sandbox: Sandbox, fully: bool) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.arm("GET", f"{JOB}/events", times=20, status=404)
    if not fully:
        was_just_listed()
    step(Job, job_id)
    assert (row(Job, job_id).retries, row(Job, job_id).not_found_count) == (0, 0)
    sandbox.move(theirs, status="succeeded")
    change(Job, job_id, provider_status=None, retries=50)
    for _ in range(MAX_REFUSED_EVENT_POLLS):
        step(Job, job_id)
        assert row(Job, job_id).status is JobStatus.RUNNING
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_a_job_that_was_gone_for_a_moment_goes_on(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    sandbox.arm("GET", JOB, times=3, status=404)
    for _ in range(4):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).retries) == (JobStatus.RUNNING, 0)


def test_a_job_is_looked_at_every_few_seconds(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    every = get_settings().poll_every
    assert timedelta() < row(Job, job_id).due_at - utc_now() <= every


def test_a_job_of_an_account_that_is_no_longer_configured_waits_for_the_operator(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, _ = running_job(alice, sandbox)
    before = calls(sandbox, f"GET {JOB.replace('*', '{job_id}')}")
    change(Job, job_id, retries=50)
    with settings(TUNERY_PROVIDER__BASE_URL="https://elsewhere.example/v1"):
        step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.RUNNING
    step(Job, job_id)
    assert calls(sandbox, f"GET {JOB.replace('*', '{job_id}')}") == before + 1
