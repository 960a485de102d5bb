"""A job's end at the provider, and what it leaves here."""

import csv
from pathlib import Path
from typing import Any

import pytest

from shared.jobs.models import Checkpoint, Job, JobStatus, TunedModel
from shared.settings import get_settings
from shared.webhooks.models import WebhookEvent
from tests.worker.support import ids, running_job, settings
from tests.world import Person, Sandbox, lines, row, step, work_until_created

JOB = "/v1/fine_tuning/jobs/*"
ENDS = ["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


def test_success_brings_a_model_results_a_webhook_event_and_no_further_step(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    alice.http.post("/webhook_endpoints", json={"name": "a", "url": "http://127.0.0.1:9/", "event_types": ENDS})
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    job, real = alice.openai.fine_tuning.jobs.retrieve(job_id), sandbox.openai.fine_tuning.jobs.retrieve(theirs)
    assert (job.fine_tuned_model, job.trained_tokens, job.finished_at) == (
        real.fine_tuned_model,
        real.trained_tokens,
        real.finished_at,
    )
    assert job.fine_tuned_model in {model.id for model in alice.openai.models.list()}
    assert row(Job, job_id).due_at is None
    event = row(WebhookEvent, ids(WebhookEvent)[-1])
    assert (event.type, event.object_id) == ("fine_tuning.job.succeeded", job_id)


def test_result_files_are_brought_here_and_can_be_read(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox, hyperparameters={"n_epochs": 1, "batch_size": 4})
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    (result_id,) = alice.openai.fine_tuning.jobs.retrieve(job_id).result_files
    file = alice.openai.files.retrieve(result_id)
    assert (file.purpose, file.filename, file.status) == ("fine-tune-results", "step_metrics.csv", "processed")
    content = alice.openai.files.content(result_id).text
    assert file.bytes == len(content.encode())
    assert [line["step"] for line in csv.DictReader(content.splitlines())] == ["1", "2", "3"]
    assert bob.http.get(f"/files/{result_id}/content").status_code == 404


def test_our_own_storage_that_fails_does_not_count_as_a_provider_that_is_silent(
    alice: Person, sandbox: Sandbox, tmp_path: Path
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    (tmp_path / "a file").touch()
    with settings(TUNERY_STORAGE=str(tmp_path / "a file")):
        step(Job, job_id)
    job = row(Job, job_id)
    assert (job.status, job.retries, job.unanswered_since) == (JobStatus.RUNNING, 1, None)
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("status", [403, 404])
def test_a_result_file_that_is_gone_does_not_hold_the_job_up(alice: Person, sandbox: Sandbox, status: int) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    sandbox.arm("GET", "/v1/files/*/content", status=status)
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, job.result_files) == ("succeeded", [])


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": "after"}], ids=str)
def test_a_result_file_that_cannot_be_had_now_is_fetched_later_and_leaves_nothing_behind(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    sandbox.arm("GET", "/v1/files/*/content", **fault)
    before = set(Path(get_settings().storage).iterdir())
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.RUNNING
    assert set(Path(get_settings().storage).iterdir()) == before
    step(Job, job_id)
    assert len(alice.openai.fine_tuning.jobs.retrieve(job_id).result_files) == 1


def test_checkpoints_are_shown_as_they_come_and_stay_when_the_provider_forgets_them(
    alice: Person, sandbox: Sandbox
) -> None:
    job_id, theirs = running_job(alice, sandbox, hyperparameters={"n_epochs": 5, "batch_size": 6})
    sandbox.move(theirs, step=5)
    step(Job, job_id)
    assert [each.step_number for each in alice.openai.fine_tuning.jobs.checkpoints.list(job_id)] == [4, 2]
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    kept = list(alice.openai.fine_tuning.jobs.checkpoints.list(job_id))
    assert [each.step_number for each in kept] == [10, 8, 6, 4, 2]  # of which the provider has three
    assert kept[0].fine_tuning_job_id == job_id
    assert kept[0].fine_tuned_model_checkpoint == alice.openai.fine_tuning.jobs.retrieve(job_id).fine_tuned_model
    assert kept[0].metrics.train_loss


def test_a_provider_without_checkpoints_will_do(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    sandbox.arm("GET", f"{JOB}/checkpoints", status=404)
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED
    assert ids(Checkpoint) == []


def test_a_failed_job_has_the_providers_reason_in_our_words(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id, theirs = running_job(alice, sandbox, training_file=file_id)
    copy = sandbox.openai.fine_tuning.jobs.retrieve(theirs).training_file
    reason = {"code": "invalid_training_file", "message": f"{copy} of {theirs} is bad.", "param": "training_file"}
    sandbox.move(theirs, status="failed", error=reason)
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert job.error
    hint = "Change or remove the examples that it means, upload the file again, and create another job with it."
    assert job.error.to_dict() == reason | {"message": f"{file_id} of {job_id} is bad. {hint}"}
    last = alice.openai.fine_tuning.jobs.list_events(job_id).data[0]
    assert (last.level, last.message) == ("error", f"{file_id} of {job_id} is bad.")
    assert ids(TunedModel) == []


@pytest.mark.parametrize("error", [None, {}, {"code": None, "message": None, "param": None}], ids=str)
def test_a_job_that_failed_without_a_reason_says_so(
    alice: Person, sandbox: Sandbox, error: dict[str, Any] | None
) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="failed")
    sandbox.arm("GET", JOB, body={"error": error})
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.error.code, job.error.message) == ("provider_job_failed", "The provider gave no reason")


def test_a_dataset_that_the_provider_finds_bad_only_in_the_job_is_told_with_its_words(
    alice: Person, sandbox: Sandbox
) -> None:
    sandbox.arm("POST", "/v1/fine_tuning/jobs", job_error="moderation")
    job_id = alice.create_job(training_file=alice.upload(lines(20)))
    await_end = sandbox.http.post(f"/sandbox/jobs/{work_until_created(job_id)}", json={"status": "queued"})
    assert await_end.status_code == 400  # it has failed on the way
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "moderation" in job.error.message
