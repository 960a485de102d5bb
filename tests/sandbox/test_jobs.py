"""Jobs: from the first file to the tuned model, and every way in between."""

import re
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError

from sandbox.training.hyperparameters import auto_epochs
from tests.sandbox.process import Sandbox, chats, preferences, wait_for_end


def test_a_job_goes_its_whole_way_by_itself(fast_sandbox: Sandbox) -> None:
    job = fast_sandbox.job()
    assert (job.status, job.model) == ("validating_files", "gpt-4o-mini-2024-07-18")
    job = wait_for_end(fast_sandbox, job)
    assert job.status == "succeeded"
    assert re.fullmatch(r"ft:gpt-4o-mini-2024-07-18:sandbox::\w{8}", job.fine_tuned_model or "")
    assert job.finished_at
    assert job.trained_tokens
    assert job.error is None


def test_the_log_tells_of_every_step_in_openais_order(sandbox: Sandbox) -> None:
    job = sandbox.tuned(examples=12, hyperparameters={"n_epochs": 2, "batch_size": 6})
    model = job.fine_tuned_model
    patterns = [
        f"Created fine-tuning job: {job.id}",
        f"Validating training file: {job.training_file}",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        r"Step 1/4: training loss=\d\.\d\d",
        r"Step 2/4: training loss=\d\.\d\d",
        r"Checkpoint created at step 2 with Snapshot ID: ft:\S+:ckpt-step-2",
        r"Step 3/4: training loss=\d\.\d\d",
        r"Step 4/4: training loss=\d\.\d\d",
        f"New fine-tuned model created: {model}",
        f"Usage policy checks of {model} passed",
        "The job has successfully completed",
    ]
    messages = sandbox.messages(job)
    assert len(messages) == len(patterns)
    assert all(re.fullmatch(pattern, message) for pattern, message in zip(patterns, messages, strict=True))


def test_metrics_fall_and_repeat_with_the_seed(sandbox: Sandbox) -> None:
    def curve(seed: int) -> list[object]:
        job = sandbox.tuned(seed=seed)
        events = sandbox.openai.fine_tuning.jobs.list_events(job.id, limit=200)
        return [event.data for event in events if event.type == "metrics"][::-1]

    first = curve(7)
    assert first == curve(7)
    assert first != curve(8)
    losses = [data["train_loss"] for data in first if isinstance(data, dict)]
    assert len(losses) == 150
    assert min(losses[:10]) > 4 * max(losses[-10:])


def test_a_validation_file_adds_its_losses(sandbox: Sandbox) -> None:
    file = sandbox.upload(*chats(20))
    job = sandbox.tuned(training_file=file.id, validation_file=sandbox.upload(*chats(3)).id)
    assert job.validation_file
    last = sandbox.openai.fine_tuning.jobs.checkpoints.list(job.id).data[0]
    assert last.metrics.full_valid_loss
    assert last.metrics.valid_mean_token_accuracy
    assert any("full validation loss=" in message for message in sandbox.messages(job))


def test_the_last_three_epochs_are_kept_and_the_newest_is_the_model(sandbox: Sandbox) -> None:
    job = sandbox.tuned(examples=10, hyperparameters={"n_epochs": 5})
    checkpoints = sandbox.openai.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [checkpoint.step_number for checkpoint in checkpoints] == [50, 40, 30]
    assert checkpoints[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert checkpoints[1].fine_tuned_model_checkpoint.endswith(":ckpt-step-40")
    assert len([model for model in sandbox.openai.models.list() if model.id.startswith("ft:")]) == 3


def test_the_result_file_has_a_line_for_each_step(sandbox: Sandbox) -> None:
    job = sandbox.tuned(examples=10)
    lines = sandbox.openai.files.content(job.result_files[0]).text.splitlines()
    assert lines[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert len(lines) == 101
    assert sandbox.openai.files.retrieve(job.result_files[0]).purpose == "fine-tune-results"


@pytest.mark.parametrize(("examples", "epochs"), [(10, 10), (20, 5), (34, 3)])
def test_auto_is_resolved_once_the_files_are_validated(sandbox: Sandbox, examples: int, epochs: int) -> None:
    job = sandbox.job(examples)
    assert job.hyperparameters.n_epochs == "auto"
    job = sandbox.move(job, status="queued")
    assert job.hyperparameters.to_dict() == {"batch_size": 1, "learning_rate_multiplier": 1.8, "n_epochs": epochs}
    assert job.method
    assert job.method.supervised
    assert job.method.supervised.hyperparameters
    assert job.method.supervised.hyperparameters.n_epochs == epochs


@pytest.mark.parametrize(("examples", "epochs"), [(1, 25), (5, 20), (8_333, 3), (9_000, 2), (50_000, 1)])
def test_few_examples_are_repeated_more_and_many_less(examples: int, epochs: int) -> None:
    assert auto_epochs(examples) == epochs


def test_a_job_of_very_many_steps_does_not_tell_of_each(sandbox: Sandbox) -> None:
    job = sandbox.tuned(examples=400, hyperparameters={"n_epochs": 50, "batch_size": 1})
    events = list(sandbox.openai.fine_tuning.jobs.list_events(job.id, limit=10_000))
    assert 5_000 <= sum(event.type == "metrics" for event in events) <= 5_050


def test_a_running_job_says_when_it_will_be_done() -> None:
    with Sandbox(speed=1) as sandbox:
        job = sandbox.move(sandbox.job(), step=10)
        assert job.estimated_finish
        assert 10 <= job.estimated_finish - job.created_at <= 60
        assert "Step 10/150" in sandbox.messages(job)[-1]


def test_a_paused_job_keeps_a_checkpoint_and_goes_on_where_it_was(sandbox: Sandbox) -> None:
    job = sandbox.move(sandbox.job(), step=70)
    assert str(sandbox.lenient.fine_tuning.jobs.pause(job.id).status) == "paused"
    saved = sandbox.openai.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [checkpoint.step_number for checkpoint in saved] == [70, 50]
    assert sandbox.openai.fine_tuning.jobs.resume(job.id).status == "queued"
    messages = sandbox.messages(sandbox.move(job, status="succeeded"))
    assert sum(message.startswith("Step") for message in messages) == 150


def test_only_a_running_job_pauses_and_only_a_paused_one_resumes(sandbox: Sandbox) -> None:
    job = sandbox.move(sandbox.job(), status="queued")
    with pytest.raises(BadRequestError, match="only a running job"):
        sandbox.openai.fine_tuning.jobs.pause(job.id)
    with pytest.raises(BadRequestError, match="only a paused job"):
        sandbox.openai.fine_tuning.jobs.resume(job.id)


@pytest.mark.parametrize("status", ["queued", "running", "paused"])
def test_a_job_that_has_not_ended_can_be_cancelled_once(sandbox: Sandbox, status: str) -> None:
    job = sandbox.move(sandbox.job(), status=status)
    cancelled = sandbox.openai.fine_tuning.jobs.cancel(job.id)
    assert (cancelled.status, cancelled.fine_tuned_model) == ("cancelled", None)
    with pytest.raises(BadRequestError, match="already cancelled"):
        sandbox.openai.fine_tuning.jobs.cancel(job.id)


def test_jobs_are_found_by_their_metadata(sandbox: Sandbox) -> None:
    ours, other, bare = sandbox.job(metadata={"k": "1", "l": ""}), sandbox.job(metadata={"k": "2"}), sandbox.job()

    def found(**query: Any) -> list[str]:
        return [job.id for job in sandbox.openai.fine_tuning.jobs.list(**query)]

    assert found() == found(metadata={}) == [bare.id, other.id, ours.id]
    assert found(metadata={"k": "1"}) == found(metadata={"l": ""}) == [ours.id]
    assert found(metadata={"k": "2", "l": ""}) == []
    assert found(extra_query={"metadata": "null"}) == [bare.id]


def test_a_job_that_is_not_there_is_not_found(sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError, match="ftjob-none"):
        sandbox.openai.fine_tuning.jobs.retrieve("ftjob-none")


def test_preferences_are_trained_by_dpo(sandbox: Sandbox) -> None:
    file = sandbox.upload(*preferences(10))
    job = sandbox.tuned(training_file=file.id, method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}})
    assert job.hyperparameters.to_dict() == {}
    assert job.method
    assert job.method.to_dict()["dpo"] == {
        "hyperparameters": {"batch_size": 1, "learning_rate_multiplier": 1.8, "n_epochs": 10, "beta": 0.2}
    }


def test_prompts_are_trained_by_reinforcement(sandbox: Sandbox) -> None:
    file = sandbox.upload(*[{"messages": [{"role": "user", "content": "2 + 2?"}], "answer": "4"}] * 10).id
    grader = {"type": "string_check", "name": "g", "input": "a", "reference": "b", "operation": "eq"}
    job = sandbox.tuned(
        model="o4-mini",
        training_file=file,
        validation_file=file,
        method={"type": "reinforcement", "reinforcement": {"grader": grader}},
    )
    event = next(event for event in sandbox.openai.fine_tuning.jobs.list_events(job.id) if event.type == "metrics")
    assert isinstance(event.data, dict)
    assert 0 < event.data["train_mean_reward"] <= 1
    assert sandbox.openai.fine_tuning.jobs.retrieve(job.id).status == "succeeded"


def test_an_integration_and_a_suffix_are_shown_again(sandbox: Sandbox) -> None:
    job = sandbox.tuned(suffix="Will S: 4", integrations=[{"type": "wandb", "wandb": {"project": "p"}}])
    assert job.to_dict()["user_provided_suffix"] == "Will S: 4"
    assert ":sandbox:will-s--4:" in (job.fine_tuned_model or "")
    assert job.integrations
    assert job.integrations[0].wandb.project == "p"
