"""POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/pause."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.api.training import leniently, move
from tests.api.wire import facts
from tests.world import Person, Sandbox, work


def test_a_running_job_is_paused_once_the_provider_says_so(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "running")
    assert alice.openai.fine_tuning.jobs.pause(job.id).status == "running"
    work(2)
    assert str(leniently(alice).fine_tuning.jobs.retrieve(job.id).status) == "paused"


def test_a_job_that_is_only_ours_cannot_be_paused(alice: Person) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.openai.fine_tuning.jobs.pause(alice.create_job())
    assert facts(refused.value) == (400, "invalid_job_status", "fine_tuning_job_id")


def test_a_pause_does_not_take_a_cancel_back(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "running")
    alice.openai.fine_tuning.jobs.cancel(job.id)
    alice.openai.fine_tuning.jobs.pause(job.id)
    work(2)
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).status == "cancelled"


def test_a_refusal_of_the_provider_is_told_in_the_events(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "running")
    sandbox.arm("POST", "/v1/fine_tuning/jobs/*/pause", status=400, body={"error": {"message": "Not now."}})
    alice.openai.fine_tuning.jobs.pause(job.id)
    work(2)
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).status == "running"
    events = alice.openai.fine_tuning.jobs.list_events(job.id)
    assert any("Not now." in event.message and event.level == "warn" for event in events)


def test_a_job_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError):
        alice.openai.fine_tuning.jobs.pause("ftjob-never")
