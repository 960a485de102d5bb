"""POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/resume."""

import pytest
from openai import BadRequestError, NotFoundError

from tests.api.training import leniently, move
from tests.api.wire import facts
from tests.world import Person, Sandbox, work


def test_a_paused_job_goes_on(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "paused")
    assert str(leniently(alice).fine_tuning.jobs.resume(job.id).status) == "queued"
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).status == "queued"
    for status, ids in (("queued", [job.id]), ("paused", [])):
        listed = alice.http.get("/fine_tuning/jobs", params={"status": status}).json()["data"]
        assert [each["id"] for each in listed] == ids
    work(2)
    assert alice.openai.fine_tuning.jobs.retrieve(job.id).status in {"queued", "running", "succeeded"}


def test_a_resume_may_be_repeated_and_taken_back(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "paused")
    for _ in range(2):
        assert str(leniently(alice).fine_tuning.jobs.resume(job.id).status) == "queued"
    leniently(alice).fine_tuning.jobs.pause(job.id)
    work(2)
    assert str(leniently(alice).fine_tuning.jobs.retrieve(job.id).status) == "paused"


def test_a_resume_that_the_provider_refuses_leaves_the_job_paused(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "paused")
    sandbox.arm("POST", "/v1/fine_tuning/jobs/*/resume", status=400)
    leniently(alice).fine_tuning.jobs.resume(job.id)
    work(2)
    assert str(leniently(alice).fine_tuning.jobs.retrieve(job.id).status) == "paused"


@pytest.mark.parametrize("status", ["queued", "running", "succeeded", "failed", "cancelled"])
def test_only_a_paused_job_can_be_resumed(alice: Person, sandbox: Sandbox, status: str) -> None:
    job = move(alice, sandbox, alice.create_job(), status)
    with pytest.raises(BadRequestError) as refused:
        alice.openai.fine_tuning.jobs.resume(job.id)
    assert facts(refused.value) == (400, "invalid_job_status", "fine_tuning_job_id")


def test_a_job_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError):
        alice.openai.fine_tuning.jobs.resume("ftjob-never")
