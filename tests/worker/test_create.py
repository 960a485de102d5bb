"""A job's creation at the provider: never twice, whatever goes wrong."""

from datetime import timedelta
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus
from shared.settings import get_settings
from tests.worker.support import calls, pass_create_grace, ready_job, step_killed_before_record
from tests.world import Person, Sandbox, row, step, work_until_created
from worker.jobs import job_step

JOBS = "/v1/fine_tuning/jobs"
CREATE, LIST = f"POST {JOBS}", f"GET {JOBS}"


def refusal(code: str | None, message: str = "No.", param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


def ambiguous_job(person: Person, sandbox: Sandbox, **fault: Any) -> str:
    """A job of which nobody knows whether the provider has it."""
    job_id = ready_job(person)
    sandbox.arm("POST", JOBS, **(fault or {"drop": "after"}))
    step(Job, job_id)
    assert row(Job, job_id).create_pending_at is not None
    return job_id


def test_what_was_asked_for_is_what_the_provider_is_asked_for(alice: Person, sandbox: Sandbox) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}
    integrations = [{"type": "wandb", "wandb": {"project": "bard"}}]
    job_id = ready_job(alice, suffix="bard", seed=7, method=method, integrations=integrations, metadata={"team": "a"})
    step(Job, job_id)
    (job,) = sandbox.jobs()
    assert (job.user_provided_suffix, job.seed, job.integrations[0].wandb.project) == ("bard", 7, "bard")
    assert job.method.supervised.hyperparameters.to_dict().items() >= {"n_epochs": 2, "batch_size": 4}.items()
    organization_id = row(Job, job_id).organization_id
    ours = {"tunery_job": job_id, "tunery_project": alice.project_id, "tunery_organization": organization_id}
    assert job.metadata == ours


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 415, 422])
def test_a_refusal_ends_the_job_with_the_providers_reason(alice: Person, sandbox: Sandbox, status: int) -> None:
    job_id = ready_job(alice)
    code = "training_not_available" if status == 403 else f"code_{status}"
    sandbox.arm("POST", JOBS, status=status, body=refusal(code, "It is over.", "model"))
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.param) == (code, "model")
    assert job.error.message.startswith("It is over.")
    assert ("another provider" in job.error.message) == (code == "training_not_available")
    assert (row(Job, job_id).create_pending_at, row(Job, job_id).due_at) == (None, None)


@pytest.mark.parametrize("code", ["insufficient_quota", "project_spend_limit_exceeded"])
def test_money_that_is_gone_does_not_come_back_by_asking_again(alice: Person, sandbox: Sandbox, code: str) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, status=429, body=refusal(code))
    step(Job, job_id)
    assert row(Job, job_id).error["code"] == code
    assert "topped up" in row(Job, job_id).error["message"]


def test_a_file_that_is_not_ready_yet_is_waited_for(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, refusal="file_not_ready")
    step(Job, job_id)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (400, "invalid_training_file")])
def test_a_file_that_the_provider_lost_or_found_bad_is_sent_again_for_the_next_job(
    alice: Person, sandbox: Sandbox, status: int, code: str
) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, status=status, body=refusal(code))
    step(Job, job_id)
    assert row(Job, job_id).error["code"] == code
    assert work_until_created(alice.create_job(training_file=row(Job, job_id).training_file))
    assert len(sandbox.files()) == 2


@pytest.mark.parametrize("body", [{"detail": "Nope"}, "Nope", {"error": "Nope"}, {"error": {"code": 17}}], ids=str)
def test_a_refusal_in_a_foreign_shape_ends_the_job_too(alice: Person, sandbox: Sandbox, body: object) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, status=400, body=body)
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.status, bool(job.error.code and job.error.message)) == ("failed", True)


@pytest.mark.parametrize("status", [401, 429])
def test_a_refusal_for_now_is_certain_too_and_the_job_is_created_later(
    alice: Person, sandbox: Sandbox, status: int
) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, status=status)
    step(Job, job_id)
    assert row(Job, job_id).create_pending_at is None
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id == sandbox.jobs()[0].id
    assert calls(sandbox, LIST) == 1  # that of this test: nothing had to be looked for


def test_the_provider_says_when_it_wants_to_be_asked_again(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, status=429, headers={"retry-after": "900"})
    step(Job, job_id)
    assert timedelta(seconds=800) < row(Job, job_id).due_at - utc_now() <= timedelta(seconds=900)


@pytest.mark.parametrize("nonsense", ["1e9", "-5", "nan", "inf", "soon", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_no_nonsense_makes_a_job_wait_for_more_than_an_hour(alice: Person, sandbox: Sandbox, nonsense: str) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, status=429, headers={"retry-after": nonsense})
    step(Job, job_id)
    assert timedelta() < row(Job, job_id).due_at - utc_now() <= timedelta(hours=1)


LOST: list[dict[str, Any]] = [
    {"drop": "after"},
    {"status": 409, "after_effect": True},
    {"status": 500, "after_effect": True},
    {"status": 503, "after_effect": True, "headers": {"retry-after": "1"}},
    {"status": 200, "after_effect": True, "body": "<html>Please log in</html>"},
    {"status": 200, "after_effect": True, "body": {}},
    {"status": 200, "after_effect": True, "body": None},
    {"body": {"id": None}},
]


@pytest.mark.parametrize("fault", LOST, ids=str)
def test_a_job_whose_answer_was_lost_is_adopted_after_the_grace(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = ambiguous_job(alice, sandbox, **fault)
    pending_at = row(Job, job_id).create_pending_at
    step(Job, job_id)
    assert row(Job, job_id).due_at == pending_at + get_settings().create_grace
    assert calls(sandbox, LIST) == 0
    pass_create_grace(job_id)
    step(Job, job_id)
    (job,) = sandbox.jobs()
    assert (row(Job, job_id).provider_job_id, row(Job, job_id).create_pending_at) == (job.id, None)


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"status": 409}, {"status": 500}, {"status": 503}], ids=str)
def test_a_job_that_did_not_arrive_is_created_after_the_grace(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = ambiguous_job(alice, sandbox, **fault)
    pass_create_grace(job_id)
    step(Job, job_id)
    step(Job, job_id)
    (job,) = sandbox.jobs()
    assert row(Job, job_id).provider_job_id == job.id
    assert calls(sandbox, CREATE) == 2


def test_a_worker_that_is_killed_after_the_create_leaves_one_job(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    step_killed_before_record(job_step.advance, job_id)
    step(Job, job_id)
    assert calls(sandbox, CREATE) == 1
    pass_create_grace(job_id)
    step(Job, job_id)
    (job,) = sandbox.jobs()
    assert row(Job, job_id).provider_job_id == job.id


def test_the_oldest_of_several_is_kept_and_the_others_are_cancelled(alice: Person, sandbox: Sandbox) -> None:
    job_id = ambiguous_job(alice, sandbox)
    (first,) = sandbox.jobs()
    again = {"model": first.model, "training_file": first.training_file, "metadata": first.metadata}
    others = [sandbox.openai.fine_tuning.jobs.create(**again).id for _ in range(2)]
    sandbox.openai.fine_tuning.jobs.cancel(others[0])  # as another worker may have done
    pass_create_grace(job_id)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id == first.id
    assert {sandbox.openai.fine_tuning.jobs.retrieve(id).status for id in others} == {"cancelled"}


def test_if_the_others_cannot_be_cancelled_now_all_is_looked_for_again(alice: Person, sandbox: Sandbox) -> None:
    job_id = ambiguous_job(alice, sandbox)
    (first,) = sandbox.jobs()
    again = {"model": first.model, "training_file": first.training_file, "metadata": first.metadata}
    other = sandbox.openai.fine_tuning.jobs.create(**again)
    pass_create_grace(job_id)
    sandbox.arm("POST", f"{JOBS}/*/cancel", status=500)
    step(Job, job_id)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id == first.id
    assert sandbox.openai.fine_tuning.jobs.retrieve(other.id).status == "cancelled"


def test_a_provider_that_does_not_filter_by_metadata_is_compared_with_all_its_pages(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id = ambiguous_job(alice, sandbox)
    (ours,) = sandbox.http.get(JOBS).json()["data"]
    others = [ours | {"id": f"ftjob-{number}", "metadata": {"tunery_job": "ftjob-other"}} for number in range(100)]
    others[0]["metadata"] = None
    sandbox.arm("GET", JOBS, status=200, body={"object": "list", "data": others, "has_more": True})
    sandbox.arm("GET", JOBS, status=200, body={"object": "list", "data": [ours, others[0]], "has_more": False})
    pass_create_grace(job_id)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id == ours["id"]


@pytest.mark.parametrize("body", ["<html>", {}, {"data": "none"}, []], ids=str)
def test_a_list_that_is_none_does_not_pass_for_an_empty_one(alice: Person, sandbox: Sandbox, body: object) -> None:
    job_id = ambiguous_job(alice, sandbox)
    pass_create_grace(job_id)
    sandbox.arm("GET", JOBS, status=200, body=body)
    step(Job, job_id)
    assert row(Job, job_id).create_pending_at is not None
    assert work_until_created(job_id) == sandbox.jobs()[0].id
    assert calls(sandbox, CREATE) == 1


@pytest.mark.parametrize("fault", [{"status": 401}, {"status": 403}, {"status": 500}, {"drop": "before"}], ids=str)
def test_while_the_provider_cannot_be_asked_nothing_is_created(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = ambiguous_job(alice, sandbox)
    pass_create_grace(job_id)
    sandbox.arm("GET", JOBS, times=3, **fault)
    for _ in range(3):
        step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.VALIDATING_FILES
    assert work_until_created(job_id) == sandbox.jobs()[0].id
    assert calls(sandbox, CREATE) == 1


def test_another_projects_job_of_the_same_provider_is_not_adopted(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    bobs = ready_job(bob)
    step(Job, bobs)
    job_id = ambiguous_job(alice, sandbox, drop="before")
    pass_create_grace(job_id)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id is None
    assert work_until_created(job_id) != row(Job, bobs).provider_job_id
