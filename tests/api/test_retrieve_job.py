"""GET /v1/fine_tuning/jobs/{fine_tuning_job_id}."""

import pytest
from openai import NotFoundError

from tests.api.training import move, train
from tests.api.wire import facts
from tests.world import Person, Sandbox, work, work_until_created


def test_a_job_that_has_succeeded_tells_everything(alice: Person, sandbox: Sandbox) -> None:
    train(alice, sandbox, validation_file=alice.upload())
    [job] = alice.openai.fine_tuning.jobs.list()
    assert (job.status, job.error) == ("succeeded", None)
    assert job.model == "gpt-4o-mini-2024-07-18"
    assert job.fine_tuned_model
    assert job.trained_tokens
    assert job.finished_at
    assert job.finished_at >= job.created_at
    assert len(job.result_files) == 1
    assert isinstance(job.hyperparameters.n_epochs, int)
    assert job.to_dict()["progress"] == 1


def test_a_running_job_tells_how_far_it_is(alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job()
    sandbox.move(work_until_created(job_id), step=30)
    work()
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "running"
    assert 0 < float(str(job.to_dict()["progress"])) < 1
    assert job.estimated_finish


def test_a_job_names_the_providers_job(alice: Person, sandbox: Sandbox) -> None:
    job = move(alice, sandbox, alice.create_job(), "running")
    assert job.to_dict()["provider_job_id"] == sandbox.jobs()[0].id
    assert job.id != sandbox.jobs()[0].id


def test_a_failed_job_tells_why_with_our_ids(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    provider_job_id = work_until_created(job_id)
    error = {"code": "invalid_training_file", "message": f"{sandbox.files()[0].id} is bad", "param": "training_file"}
    sandbox.move(provider_job_id, status="failed", error=error)
    work()
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert job.error
    message = f"{file_id} is bad. Change or remove the examples that it means"
    assert job.error.to_dict() == {**error, "message": job.error.message}
    assert job.error.message.startswith(message)


@pytest.mark.parametrize("error", [{}, {"code": None, "message": None, "param": None}, None], ids=str)
def test_an_empty_reason_of_the_provider_is_filled(alice: Person, sandbox: Sandbox, error: object) -> None:
    job_id = alice.create_job()
    work_until_created(job_id)
    sandbox.arm("GET", "/v1/fine_tuning/jobs/*", body={"status": "failed", "error": error})
    work()
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert job.error.code == "provider_job_failed"


def test_a_job_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.openai.fine_tuning.jobs.retrieve("ftjob-never")
    assert facts(refused.value) == (404, "not_found", "fine_tuning_job_id")
    assert "ftjob-never" in refused.value.message


def test_the_providers_id_is_no_id_of_ours(alice: Person) -> None:
    provider_job_id = work_until_created(alice.create_job())
    with pytest.raises(NotFoundError):
        alice.openai.fine_tuning.jobs.retrieve(provider_job_id)
