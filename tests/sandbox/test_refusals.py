"""What a job is refused for at once, and what ends it after its files were looked into."""

from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, RateLimitError

from tests.sandbox.process import Sandbox, chat, chats, preferences

GRADED = {"type": "reinforcement", "reinforcement": {"grader": {"type": "string_check"}}}


@pytest.mark.parametrize("model", ["gpt-99", "gpt-4o-2024-11-20", "ft:gpt-4o:acme::none1234"])
def test_a_model_that_cannot_be_tuned(sandbox: Sandbox, model: str) -> None:
    with pytest.raises(BadRequestError, match="is not available for fine-tuning or does not exist") as refused:
        sandbox.job(model=model)
    assert (refused.value.code, refused.value.param) == ("model_not_available", "model")


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_a_file_that_is_not_there(sandbox: Sandbox, param: str) -> None:
    wanted: Any = {param: "file-none"}
    with pytest.raises(NotFoundError) as refused:
        sandbox.job(**wanted)
    assert refused.value.param == param


def test_a_file_that_is_for_something_else(sandbox: Sandbox) -> None:
    with pytest.raises(BadRequestError, match="purpose 'batch'") as refused:
        sandbox.job(training_file=sandbox.upload(*chats(10), purpose="batch").id)
    assert refused.value.param == "training_file"


@pytest.mark.parametrize(
    ("wanted", "param", "code"),
    [
        ({"suffix": ""}, "suffix", "invalid_value"),
        ({"suffix": "s" * 65}, "suffix", "invalid_value"),
        ({"seed": -1}, "seed", "invalid_value"),
        ({"seed": 2**31}, "seed", "invalid_value"),
        ({"metadata": {str(index): "" for index in range(17)}}, "metadata", "invalid_value"),
        ({"metadata": {"k" * 65: ""}}, f"metadata.{'k' * 65}", "invalid_value"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_value"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "invalid_value"),
        ({"hyperparameters": {"n_epochs": "many"}}, "hyperparameters.n_epochs", "invalid_value"),
        ({"hyperparameters": {"batch_size": 257}}, "hyperparameters.batch_size", "invalid_value"),
        (
            {"hyperparameters": {"learning_rate_multiplier": 0}},
            "hyperparameters.learning_rate_multiplier",
            "invalid_value",
        ),
        ({"hyperparameters": {"beta": 1}}, "hyperparameters.beta", "unknown_parameter"),
        ({"method": {"type": "magic"}}, "method.type", "invalid_value"),
        (
            {"method": {"type": "reinforcement"}, "model": "o4-mini"},
            "method.reinforcement",
            "missing_required_parameter",
        ),
        ({"method": GRADED, "model": "o4-mini"}, "validation_file", "missing_required_parameter"),
        ({"method": {"type": "dpo"}, "model": "gpt-3.5-turbo"}, "method", "invalid_value"),
        (
            {"integrations": [{"type": "wandb", "wandb": {}}]},
            "integrations.0.wandb.project",
            "missing_required_parameter",
        ),
        ({"extra_body": {"trainingType": "x"}}, "trainingType", "unknown_parameter"),
    ],
)
def test_a_parameter_out_of_bounds(sandbox: Sandbox, wanted: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        sandbox.job(**wanted)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert not sandbox.openai.fine_tuning.jobs.list().data


def test_a_fourth_job_of_a_model_has_no_place_until_one_ends(sandbox: Sandbox) -> None:
    file = sandbox.upload(*chats(10)).id
    jobs = [sandbox.move(sandbox.job(training_file=file), status="running") for _ in range(3)]
    with pytest.raises(RateLimitError, match="3 active fine-tuning jobs") as refused:
        sandbox.job(training_file=file)
    assert (refused.value.code, refused.value.type) == ("active_job_limit_exceeded", "invalid_request_error")
    assert sandbox.job(training_file=file, model="gpt-4.1").id
    sandbox.openai.fine_tuning.jobs.cancel(jobs[0].id)
    assert sandbox.job(training_file=file).id


def test_a_seventh_job_of_a_day_is_refused(sandbox: Sandbox) -> None:
    file = sandbox.upload(*chats(10)).id
    for _ in range(6):
        sandbox.tuned(training_file=file)
    with pytest.raises(RateLimitError, match="6 fine-tuning requests per day") as refused:
        sandbox.job(training_file=file)
    assert (refused.value.code, refused.value.type) == ("daily_rate_limit_exceeded", "invalid_request_error")


def test_the_limits_can_be_asked_for(sandbox: Sandbox) -> None:
    sandbox.move(sandbox.job(), status="queued")
    limits = sandbox.http.get("/v1/fine_tuning/model_limits").json()
    assert limits["gpt-4o-mini-2024-07-18"] == {"max_total_jobs": 6, "max_concurrent_jobs": 3, "active_jobs": 1}
    assert "gpt-4o-mini" not in limits


@pytest.mark.parametrize(
    ("records", "code", "message"),
    [
        (chats(9), "invalid_n_examples", "Training file has 9 example(s), but must have at least 10 examples"),
        ([{"text": "?"}] * 10, "invalid_training_file", "expected either prompt/completion pairs or chat messages."),
        ([{"instruction": "?", "input": ""}] * 10, "invalid_training_file", "expected either prompt/completion pairs"),
        (
            [*chats(9), {"messages": [{"role": "user", "content": "?"}, {"content": "!"}]}],
            "invalid_training_file",
            "Example 10, message 2 Discriminator 'role' is missing in value",
        ),
        ([*chats(9), "text"], "invalid_training_file", "Example 10, the line is not a JSON object"),
        (
            [*chats(9), chat("?", "!") | {"messages": []}],
            "invalid_training_file",
            "Example 10, 'messages' must be a list",
        ),
        ([*chats(9), {"messages": [{"role": "boss", "content": "?"}]}], "invalid_training_file", "unknown role 'boss'"),
        (preferences(10), "invalid_training_file", "is not using 'dpo' (provided method=supervised)."),
    ],
)
def test_a_bad_training_file_ends_the_job(sandbox: Sandbox, records: list[object], code: str, message: str) -> None:
    job = sandbox.job(training_file=sandbox.upload(*records).id)
    assert job.status == "validating_files"
    sandbox.http.post(f"/sandbox/jobs/{job.id}", json={"status": "queued"})
    job = sandbox.openai.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.param) == (code, "training_file")
    assert message in job.error.message
    last = sandbox.openai.fine_tuning.jobs.list_events(job.id).data[0]
    assert (last.level, last.message) == ("error", job.error.message)


def test_chats_are_not_for_dpo(sandbox: Sandbox) -> None:
    job = sandbox.job(method={"type": "dpo"})
    sandbox.http.post(f"/sandbox/jobs/{job.id}", json={"status": "queued"})
    error = sandbox.openai.fine_tuning.jobs.retrieve(job.id).error
    assert error
    assert "is in the fine-tune-chat format" in error.message
    assert error.message.endswith("is not using 'supervised' (provided method=dpo).")


def test_a_bad_validation_file_ends_the_job(sandbox: Sandbox) -> None:
    job = sandbox.job(validation_file=sandbox.upload(*preferences(10)).id)
    sandbox.http.post(f"/sandbox/jobs/{job.id}", json={"status": "queued"})
    error = sandbox.openai.fine_tuning.jobs.retrieve(job.id).error
    assert error
    assert (error.code, error.param) == ("invalid_validation_file", "validation_file")
