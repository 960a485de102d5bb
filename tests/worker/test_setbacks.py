"""A provider that refuses, or cannot be asked, for so long that nobody waits for it any more."""

from typing import Any

import pytest

from shared.jobs.models import Job, JobRequest, JobStatus
from tests.worker.levers import calls, change, let_the_grace_pass, ready_job, running_job, settings
from tests.world import Person, Sandbox, row, step, work
from worker import setbacks

JOBS = "/v1/fine_tuning/jobs"
ELSEWHERE = "https://elsewhere.example/v1"


def warnings(person: Person, job_id: str) -> list[str]:
    events = person.openai.fine_tuning.jobs.list_events(job_id, limit=100)
    return [event.message for event in events if event.level == "warn"]


def job_in_doubt(person: Person, sandbox: Sandbox, drop: str) -> str:
    """Nobody knows whether it was created, and it is time to look for it."""
    job_id = ready_job(person)
    sandbox.arm("POST", JOBS, drop=drop)
    step(Job, job_id)
    let_the_grace_pass(job_id)
    return job_id


@pytest.mark.parametrize("fault", [{"status": 404}, {"status": 400}, {"status": 200, "body": "<html>"}], ids=str)
def test_a_job_that_cannot_be_looked_for_fails_after_a_day_and_not_before(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = job_in_doubt(alice, sandbox, drop="before")
    sandbox.arm("GET", JOBS, times=3, **fault)
    step(Job, job_id)
    change(Job, job_id, retries=setbacks.UNHEARD - 1)
    step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).retries) == (JobStatus.VALIDATING_FILES, setbacks.UNHEARD)
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.error.code if job.error else None) == ("failed", "create_unknown")
    assert (row(Job, job_id).due_at, row(Job, job_id).place) == (None, None)


def test_a_job_that_cannot_be_looked_for_is_cancelled_after_a_day_if_that_was_asked_for(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id = job_in_doubt(alice, sandbox, drop="after")
    alice.openai.fine_tuning.jobs.cancel(job_id)
    change(Job, job_id, retries=setbacks.UNHEARD)
    sandbox.arm("GET", JOBS, status=404)
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert "it may go on there" in warnings(alice, job_id)[0]


def test_a_cancel_at_an_account_that_is_gone_ends_after_a_day(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
        assert row(Job, job_id).request is JobRequest.CANCEL
        change(Job, job_id, retries=setbacks.UNHEARD)
        step(Job, job_id)
    job = row(Job, job_id)
    assert (job.status, job.request, job.place, job.due_at) == (JobStatus.CANCELLED, None, None, None)
    assert "it may go on there" in warnings(alice, job_id)[0]


def test_a_pause_at_an_account_that_is_gone_ends_no_job(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    change(Job, job_id, retries=setbacks.UNHEARD)
    with settings(TUNERY_PROVIDER__BASE_URL=ELSEWHERE):
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, JobRequest.PAUSE)


@pytest.mark.parametrize("status", [404, 409])
@pytest.mark.parametrize("trouble", [0, 50])
def test_a_cancel_that_is_not_possible_at_first_is_told_again(
    alice: Person, sandbox: Sandbox, status: int, trouble: int
) -> None:
    job_id, _ = running_job(alice, sandbox)
    change(Job, job_id, retries=trouble)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    sandbox.arm("POST", f"{JOBS}/*/cancel", times=4, status=status)
    work(10)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == 5
    assert row(Job, job_id).status is JobStatus.CANCELLED
