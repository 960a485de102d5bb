"""POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.api.training import leniently, move, train
from tests.api.wire import facts, send
from tests.world import Person, Sandbox, work


def test_a_job_that_is_only_ours_is_cancelled_at_once(alice: Person, sandbox: Sandbox) -> None:
    job = alice.openai.fine_tuning.jobs.cancel(alice.create_job())
    assert job.status == "cancelled"
    assert job.finished_at
    work(3)
    assert sandbox.jobs() == []


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_a_job_at_the_provider_is_cancelled_there(alice: Person, sandbox: Sandbox, status: str) -> None:
    job = move(alice, sandbox, alice.create_job(), status)
    assert job.status == status
    assert leniently(alice).fine_tuning.jobs.cancel(job.id).status == status
    work(2)
    assert sandbox.jobs()[0].status == "cancelled"
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).status == "cancelled"


def test_a_job_can_be_cancelled_twice_while_it_is_not_yet(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "running")
    for _ in range(2):
        assert alice.openai.fine_tuning.jobs.cancel(job.id).status == "running"


def test_a_job_that_has_ended_cannot_be_cancelled(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox)
    with pytest.raises(BadRequestError) as refused:
        alice.openai.fine_tuning.jobs.cancel(job.id)
    assert facts(refused.value) == (400, "invalid_job_status", "fine_tuning_job_id")
    assert "succeeded" in refused.value.message


def test_a_job_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError):
        alice.openai.fine_tuning.jobs.cancel("ftjob-never")


def test_an_empty_body_that_calls_itself_json_will_do(alice: Person) -> None:
    answer = send(alice, "POST", f"/fine_tuning/jobs/{alice.create_job()}/cancel", b"", {"content-length": "0"})
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
