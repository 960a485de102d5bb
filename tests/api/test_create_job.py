"""POST /v1/fine_tuning/jobs."""

import time
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError

from shared.jobs.models import Job
from tests.api.training import model_of, train
from tests.api.wire import facts
from tests.world import Person, Sandbox, lines, row, work, work_until_created

GRADER = {
    "type": "string_check",
    "name": "same",
    "input": "{{sample.output_text}}",
    "reference": "r",
    "operation": "eq",
}
AUTO = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}


def test_a_job_is_accepted_at_once_and_carried_to_its_end(alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job(suffix="bard", metadata={"team": "a"})
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
    sandbox.move(work_until_created(job_id), status="succeeded")
    work()
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "succeeded"
    assert job.fine_tuned_model
    assert job.metadata == {"team": "a"}


def test_a_new_job_is_described_as_openai_does(alice: Person) -> None:
    file_id = alice.upload()
    job = alice.openai.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file_id)
    assert job.id.startswith("ftjob-")
    assert abs(job.created_at - time.time()) < 60
    assert job.to_dict() == {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": job.created_at,
        "error": None,
        "fine_tuned_model": None,
        "finished_at": None,
        "hyperparameters": AUTO,
        "model": "gpt-4o-mini",
        "organization_id": job.organization_id,
        "result_files": [],
        "status": "validating_files",
        "trained_tokens": None,
        "training_file": file_id,
        "validation_file": None,
        "seed": job.seed,
        "integrations": None,
        "estimated_finish": None,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {}}},
        "metadata": None,
        "user_provided_suffix": None,
        "project_id": alice.project_id,
        "provider": "openai",
        "provider_job_id": None,
        "progress": None,
        "check_progress": None,
        "estimated_cost": None,
        "cost": None,
        "approval": None,
        "priority": "normal",
        "provider_options": None,
        "queue_position": None,
        "estimated_start": None,
        "request": None,
        "request_error": None,
        "api_key_id": row(Job, job.id).api_key_id,
        **dict.fromkeys(("sent_at", "started_at", "best_valid_loss", "deploy_on_success")),
    }


METHODS: list[dict[str, Any]] = [
    {"type": "supervised"},
    {"type": "supervised", "supervised": {}},
    {"type": "supervised", "supervised": {"hyperparameters": AUTO}},
    {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 50, "batch_size": 256}}},
    {"type": "supervised", "supervised": {"hyperparameters": {"learning_rate_multiplier": 0.000001}}},
    {"type": "dpo"},
    {"type": "dpo", "dpo": {"hyperparameters": {**AUTO, "beta": "auto"}}},
    {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2, "n_epochs": 1, "batch_size": 1}}},
    {"type": "reinforcement", "reinforcement": {"grader": GRADER}},
    {
        "type": "reinforcement",
        "reinforcement": {
            "grader": GRADER,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {}}},
            "hyperparameters": {
                **AUTO,
                "compute_multiplier": 10,
                "eval_interval": 1,
                "eval_samples": 1,
                "reasoning_effort": "high",
            },
        },
    },
]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_method_comes_back_as_it_was_asked_for(alice: Person, method: Any) -> None:
    file_id = alice.upload()
    job = alice.openai.fine_tuning.jobs.create(
        model="my-own-model",
        training_file=file_id,
        validation_file=file_id,
        method=method,
    )
    assert job.method
    assert job.method.to_dict() == method


def test_graders_may_stand_in_a_map_as_the_guide_has_them(alice: Person) -> None:
    file_id = alice.upload()
    multi = {"type": "multi", "name": "m", "graders": {"a": GRADER, "b": GRADER}, "calculate_output": "a + b"}
    method = {"type": "reinforcement", "reinforcement": {"grader": multi}}
    body = {"model": "my-own-model", "training_file": file_id, "validation_file": file_id, "method": method}
    assert alice.http.post("/fine_tuning/jobs", json=body).json()["method"] == method


def test_the_hyperparameters_of_its_method_stand_on_the_job(alice: Person) -> None:
    method = {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, "beta": 0.5}}}
    job = alice.openai.fine_tuning.jobs.retrieve(alice.create_job(method=method))
    assert job.hyperparameters.to_dict() == {**AUTO, "n_epochs": 2}


def test_hyperparameters_can_be_given_in_the_old_way(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox, hyperparameters={"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5})
    assert job.hyperparameters.to_dict() == {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
    [theirs] = sandbox.jobs()
    assert theirs.method.supervised.hyperparameters.n_epochs == 2


def test_a_metadata_key_is_at_most_64_letters(alice: Person) -> None:
    alice.create_job(metadata={"k" * 64: "v" * 512, "": ""})
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(metadata={"k" * 65: "v"})
    assert (refused.value.param or "").startswith("metadata")


def test_what_is_null_is_as_if_it_were_left_out(alice: Person) -> None:
    names = ("suffix", "seed", "validation_file", "method", "hyperparameters", "integrations", "metadata")
    job_id = alice.create_job(**dict.fromkeys(names))
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "validating_files"


@pytest.mark.parametrize("seed", [0, 42, 2**31 - 1])
def test_a_seed_is_kept(alice: Person, seed: int) -> None:
    assert alice.openai.fine_tuning.jobs.retrieve(alice.create_job(seed=seed)).seed == seed


def test_a_seed_is_made_where_none_is_given(alice: Person) -> None:
    seeds = {alice.openai.fine_tuning.jobs.retrieve(alice.create_job()).seed for _ in range(3)}
    assert len(seeds) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_suffix_stands_in_the_models_name(alice: Person, sandbox: Sandbox) -> None:
    job = train(alice, sandbox, suffix="bard")
    assert ":bard:" in model_of(job)
    assert job.to_dict()["user_provided_suffix"] == "bard"


def test_everything_that_was_asked_reaches_the_provider(alice: Person, sandbox: Sandbox) -> None:
    asked: dict[str, Any] = {
        "suffix": "bard",
        "seed": 7,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        "integrations": [{"type": "wandb", "wandb": {"project": "p", "tags": ["a"]}}],
        "metadata": {"team": "a"},
    }
    work_until_created(alice.create_job(validation_file=alice.upload(lines(10)), **asked))
    [theirs] = sandbox.jobs()
    assert (theirs.user_provided_suffix, theirs.seed) == ("bard", 7)
    assert theirs.method.supervised.hyperparameters.n_epochs == 2
    assert theirs.integrations[0].wandb.project == "p"
    assert theirs.validation_file
    assert theirs.validation_file != theirs.training_file


def test_a_tuned_model_can_be_tuned_further(alice: Person, sandbox: Sandbox) -> None:
    parent = model_of(train(alice, sandbox))
    assert model_of(train(alice, sandbox, model=parent)) != parent


def test_a_file_that_is_known_to_be_bad_is_refused_with_its_line(alice: Person) -> None:
    file_id = alice.upload(lines(11) + b"{not json}\n")
    work()
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(training_file=file_id)
    assert (refused.value.code, refused.value.param) == ("invalid_training_file", "training_file")
    assert "Line 12" in refused.value.message


def test_a_file_that_turns_out_to_be_bad_fails_the_job(alice: Person) -> None:
    job_id = alice.create_job(training_file=alice.upload(lines(3)))
    work(2)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.param) == ("invalid_n_examples", "training_file")


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_a_file_for_something_else_is_refused(alice: Person, param: str) -> None:
    other = alice.openai.files.create(file=("a", b"a"), purpose="batch").id
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(**{param: other})
    assert facts(refused.value) == (400, "invalid_value", param)


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_a_file_that_never_was_is_not_found(alice: Person, param: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.create_job(**{param: "file-never"})
    assert facts(refused.value) == (404, "not_found", param)


def test_a_deleted_file_is_not_found(alice: Person) -> None:
    file_id = alice.upload()
    alice.openai.files.delete(file_id)
    with pytest.raises(NotFoundError):
        alice.create_job(training_file=file_id)


def test_a_tuned_model_that_never_was_is_not_found(alice: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        alice.create_job(model="ft:gpt-4o-mini-2024-07-18:acme::never")
    assert facts(refused.value) == (404, "model_not_found", "model")


def test_another_projects_file_is_not_found(alice: Person, bob: Person) -> None:
    with pytest.raises(NotFoundError) as refused:
        bob.create_job(training_file=alice.upload())
    assert refused.value.param == "training_file"


def test_a_job_is_accepted_in_time_without_redis(frugal: Person) -> None:
    file_id = frugal.upload()
    began = time.monotonic()
    job_id = frugal.create_job(training_file=file_id)
    assert time.monotonic() - began < 30
    work_until_created(job_id)
