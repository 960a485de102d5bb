"""Jobs on OpenAI's wire that train for real: their log, checkpoints and files, the queue, pause, resume and cancel."""

import csv
import io
import zipfile
from collections.abc import Iterator

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.trainer.trainer_process import BASE, Trainer, chats


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    with Trainer(tmp_path_factory.mktemp("trainer")) as trainer:
        yield trainer


@pytest.mark.timeout(600)
def test_a_job_of_the_official_sdk_trains_and_leaves_all_that_openai_leaves(trainer: Trainer) -> None:
    job = trainer.job(validation_file=trainer.upload(*chats(6)), suffix="Sea Dog", metadata={"team": "a"})
    assert job.status == "validating_files"
    job = trainer.wait_for_end(job)
    assert (job.status, job.error) == ("succeeded", None), trainer.messages(job)
    assert job.fine_tuned_model
    assert job.fine_tuned_model.startswith(f"ft:{BASE}:trainer:sea-dog:")
    assert job.trained_tokens
    assert list(trainer.losses(job)) == list(range(1, 13))
    said = trainer.messages(job)
    assert said[0] == f"Created fine-tuning job: {job.id}"
    assert said[-1] == "The job has successfully completed"
    checkpoints = trainer.openai.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [checkpoint.step_number for checkpoint in checkpoints] == [12, 6]
    assert all(checkpoint.metrics.full_valid_loss for checkpoint in checkpoints)
    listed = {model.id for model in trainer.openai.models.list()}
    assert {BASE, job.fine_tuned_model, *(each.fine_tuned_model_checkpoint for each in checkpoints)} <= listed


@pytest.fixture(scope="module")
def trained(trainer: Trainer) -> str:
    """A job that has succeeded: its id."""
    job = trainer.wait_for_end(trainer.job(epochs=1))
    assert job.status == "succeeded", trainer.messages(job)
    return job.id


@pytest.mark.timeout(600)
def test_the_results_are_the_curve_and_the_weights(trainer: Trainer, trained: str) -> None:
    job = trainer.openai.fine_tuning.jobs.retrieve(trained)
    metrics, weights = job.result_files
    rows = list(csv.DictReader(io.StringIO(trainer.openai.files.content(metrics).text)))
    assert [int(row["step"]) for row in rows] == list(range(1, 7))
    assert [float(row["train_loss"]) for row in rows] == list(trainer.losses(job).values())
    packed = zipfile.ZipFile(io.BytesIO(trainer.openai.files.content(weights).read()))
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md"} <= set(packed.namelist())
    assert job.id in packed.read("README.md").decode()
    trainer.wait(job, lambda _: {"optimizer.pt", "train.jsonl"}.isdisjoint(_files(trainer, job)))


def _files(trainer: Trainer, job: FineTuningJob) -> set[str]:
    return {path.name for path in trainer.job_folder(job).rglob("*")}


@pytest.mark.timeout(600)
def test_a_tuned_model_is_trained_further_even_if_it_is_deleted_meanwhile(trainer: Trainer, trained: str) -> None:
    parent = trainer.wait_for_end(trainer.job(epochs=1)).fine_tuned_model
    assert parent
    job = trainer.job(model=parent, epochs=1)
    assert trainer.openai.models.delete(parent).deleted
    job = trainer.wait_for_end(job)
    assert job.status == "succeeded", trainer.messages(job)
    first = trainer.openai.fine_tuning.jobs.retrieve(trained)
    assert trainer.losses(job)[6] < trainer.losses(first)[6]


@pytest.mark.timeout(600)
def test_jobs_wait_for_the_slot_in_the_order_of_their_creation(trainer: Trainer) -> None:
    jobs = [trainer.job(examples=10, epochs=1) for _ in range(3)]
    trainer.wait(jobs[2], lambda job: job.status == "queued")
    assert trainer.messages(jobs[2])[-1].endswith("2 jobs are before it")
    ended = [trainer.wait_for_end(job) for job in jobs]
    assert [job.status for job in ended] == ["succeeded"] * 3
    finished = [job.finished_at or 0 for job in ended]
    assert finished == sorted(finished)


@pytest.mark.timeout(600)
def test_a_paused_job_frees_its_slot_and_goes_on_where_it_was(trainer: Trainer) -> None:
    job = trainer.job(epochs=40)
    trainer.wait_for_step(job, 3)
    assert _status(trainer.lenient.fine_tuning.jobs.pause(job.id)) == "paused"
    other = trainer.wait_for_end(trainer.job(examples=10, epochs=1))  # needs the slot
    assert other.status == "succeeded"
    stood_still = max(trainer.losses(job))
    assert _status(trainer.lenient.fine_tuning.jobs.retrieve(job.id)) == "paused"
    assert trainer.openai.fine_tuning.jobs.checkpoints.list(job.id).data[0].step_number == stood_still
    assert trainer.lenient.fine_tuning.jobs.resume(job.id).status == "queued"
    trainer.wait_for_step(job, stood_still + 1)
    assert f"Fine-tuning job goes on from step {stood_still}" in trainer.messages(job)
    assert trainer.lenient.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert list(trainer.losses(job)) == list(range(1, len(trainer.losses(job)) + 1))


def _status(job: FineTuningJob) -> str:
    """The SDK's type has no `paused`."""
    return job.status


@pytest.mark.timeout(600)
def test_a_cancelled_job_stops_and_the_next_one_gets_its_slot(trainer: Trainer) -> None:
    job = trainer.job(epochs=50)
    trainer.wait_for_step(job, 1)
    assert trainer.openai.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    assert trainer.wait_for_end(trainer.job(examples=10, epochs=1)).status == "succeeded"
    assert trainer.messages(job)[-1] == "The job was cancelled"
    assert trainer.openai.fine_tuning.jobs.retrieve(job.id).status == "cancelled"


@pytest.mark.timeout(600)
def test_a_file_that_cannot_be_trained_on_fails_its_job_and_says_the_line(trainer: Trainer) -> None:
    bad = [*chats(10), {"messages": [{"role": "user", "content": "no answer"}, {"role": "robot", "content": "x"}]}]
    job = trainer.wait_for_end(trainer.job(training_file=trainer.upload(*bad)))
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "Example 11" in str(job.error.message)
    long = [*chats(10), {"messages": [{"role": "user", "content": "a " * 2000}, {"role": "assistant", "content": "b"}]}]
    job = trainer.wait_for_end(trainer.job(training_file=trainer.upload(*long)))
    assert job.error
    assert job.error.code == "invalid_training_file"
    assert "11" in str(job.error.message)
    assert "512" in str(job.error.message)
