"""POST /v1/fine_tuning/jobs with `from_job`: a job like another one."""

from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.fine_tuning import FineTuningJob

from tests.api.training import train
from tests.api.wire import facts
from tests.world import Person, Sandbox, lines, work_until_created

COPIED = ("training_file", "validation_file", "seed", "integrations", "metadata", "user_provided_suffix", "priority")


def copy(person: Person, job_id: str, **given: Any) -> FineTuningJob:
    job: FineTuningJob = person.openai.post(
        "/fine_tuning/jobs", cast_to=FineTuningJob, body={"from_job": job_id, **given}
    )
    return job


def test_what_is_left_out_is_as_it_was_asked_for(alice: Person, sandbox: Sandbox) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": "auto", "batch_size": 4}}}
    job = train(
        alice,
        sandbox,
        validation_file=alice.upload(lines(10)),
        method=method,
        suffix="bard",
        seed=7,
        extra_body={"priority": "high"},
        integrations=[{"type": "wandb", "wandb": {"project": "p"}}],
        metadata={"team": "a"},
    )
    assert job.hyperparameters.n_epochs != "auto"
    made = copy(alice, job.id)
    assert (made.status, made.model) == ("validating_files", job.model)
    assert made.method
    assert made.method.to_dict() == method
    assert made.hyperparameters.to_dict() == {"n_epochs": "auto", "batch_size": 4, "learning_rate_multiplier": "auto"}
    assert {name: made.to_dict().get(name) for name in COPIED} == {name: job.to_dict().get(name) for name in COPIED}
    *_, first = alice.openai.fine_tuning.jobs.list_events(made.id).data
    assert job.id in first.message
    assert work_until_created(made.id)


def test_what_is_given_is_another(alice: Person) -> None:
    method = {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 3, "beta": 0.5}}}
    job_id, file_id = alice.create_job(method=method, suffix="bard", seed=7), alice.upload()
    made = copy(
        alice,
        job_id,
        model="gpt-4.1-mini",
        training_file=file_id,
        suffix="new",
        seed=8,
        priority="low",
        metadata={},
        hyperparameters={"n_epochs": 5},
    ).to_dict()
    assert {name: made[name] for name in ("model", "user_provided_suffix", "seed", "metadata", "priority")} == {
        "model": "gpt-4.1-mini",
        "user_provided_suffix": "new",
        "seed": 8,
        "metadata": {},
        "priority": "low",
    }
    assert made["training_file"] == file_id
    assert made["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 5, "beta": 0.5}}}
    other = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
    assert copy(alice, job_id, method=other).to_dict()["method"] == other


def test_the_sdk_copies_with_an_extra_field(alice: Person) -> None:
    job_id = alice.create_job(suffix="bard")
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    made = alice.openai.fine_tuning.jobs.create(
        model=job.model, training_file=job.training_file, extra_body={"from_job": job_id}
    )
    assert made.to_dict()["user_provided_suffix"] == "bard"


def test_a_copy_needs_its_file_still(alice: Person) -> None:
    job_id = alice.create_job()
    alice.openai.fine_tuning.jobs.cancel(job_id)
    alice.openai.files.delete(alice.openai.fine_tuning.jobs.retrieve(job_id).training_file)
    with pytest.raises(NotFoundError) as refused:
        copy(alice, job_id)
    assert facts(refused.value) == (404, "not_found", "training_file")
    assert copy(alice, job_id, training_file=alice.upload()).status == "validating_files"


def test_a_job_that_never_was_or_is_anothers_is_not_found(alice: Person, bob: Person) -> None:
    for job_id in ("ftjob-never", alice.create_job()):
        with pytest.raises(NotFoundError) as refused:
            copy(bob, job_id)
        assert facts(refused.value) == (404, "not_found", "from_job")


@pytest.mark.parametrize("missing", ["model", "training_file"])
def test_without_a_job_to_copy_nothing_may_be_left_out(alice: Person, missing: str) -> None:
    body = {"model": "gpt-4o-mini", "training_file": "file-x", "from_job": None}
    with pytest.raises(BadRequestError) as refused:
        alice.openai.post("/fine_tuning/jobs", cast_to=FineTuningJob, body=body | {missing: None})
    assert facts(refused.value) == (400, "missing_required_parameter", missing)
