"""DELETE /v1/files/{file_id}."""

from datetime import timedelta
from pathlib import Path

import pytest
from openai import BadRequestError, NotFoundError

from shared.datasets.models import Dataset
from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus
from shared.settings import get_settings
from tests.api.training import move
from tests.worker.support import change
from tests.world import Person, Sandbox, lines, step, work, work_until_created


def test_a_deleted_file_is_gone_and_its_bytes_too(alice: Person) -> None:
    file_id = alice.upload()
    deleted = alice.openai.files.delete(file_id)
    assert (deleted.id, deleted.object, deleted.deleted) == (file_id, "file", True)
    with pytest.raises(NotFoundError):
        alice.openai.files.retrieve(file_id)
    assert list(alice.openai.files.list()) == []
    step(Dataset, file_id)
    assert not (Path(get_settings().storage) / file_id).exists()


def test_a_file_can_be_deleted_once(alice: Person) -> None:
    file_id = alice.upload()
    alice.openai.files.delete(file_id)
    with pytest.raises(NotFoundError):
        alice.openai.files.delete(file_id)


def test_its_copy_at_the_provider_is_deleted_too(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    move(alice, sandbox, alice.create_job(training_file=file_id), "succeeded")
    assert len(sandbox.files()) == 1
    alice.openai.files.delete(file_id)
    work()
    assert sandbox.files() == []


@pytest.mark.parametrize("param", ["training_file", "validation_file"])
def test_a_file_that_a_job_waits_for_is_kept(alice: Person, param: str) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(**{param: file_id})
    with pytest.raises(BadRequestError) as refused:
        alice.openai.files.delete(file_id)
    assert refused.value.code == "file_in_use"
    assert job_id in refused.value.message


def test_a_file_of_a_cancelled_job_can_go(alice: Person) -> None:
    file_id = alice.upload()
    alice.openai.fine_tuning.jobs.cancel(alice.create_job(training_file=file_id))
    assert alice.openai.files.delete(file_id).deleted


def test_a_bad_file_can_go_although_a_job_names_it(alice: Person) -> None:
    file_id = alice.upload(lines(2))
    alice.create_job(training_file=file_id)
    step(Dataset, file_id)
    assert alice.openai.files.delete(file_id).deleted


def test_a_file_of_a_running_job_can_go(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    sandbox.move(work_until_created(job_id), status="running")
    work()
    assert alice.openai.files.delete(file_id).deleted


def test_a_file_whose_job_is_to_be_cancelled_can_go(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    sandbox.move(work_until_created(job_id), status="queued")
    work()
    with pytest.raises(BadRequestError):
        alice.openai.files.delete(file_id)
    assert alice.openai.fine_tuning.jobs.cancel(job_id).status == "queued"
    assert alice.openai.files.delete(file_id).deleted


def test_a_dataset_is_kept_until_the_part_of_it_that_a_job_names_is_made(alice: Person) -> None:
    file_id = alice.upload(lines(30))
    whole = alice.http.post("/datasets", json={"file_id": file_id, "split": {"count": 10}}).raise_for_status().json()
    job_id = alice.create_job(training_file=whole["training_dataset"])
    with pytest.raises(BadRequestError) as refused:
        alice.openai.files.delete(file_id)
    assert (refused.value.code, job_id in refused.value.message) == ("file_in_use", True)
    work(2)
    assert alice.openai.files.delete(file_id).deleted


def test_an_expired_file_is_kept_as_long_as_a_job_needs_it(alice: Person) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    change(Dataset, file_id, expires_at=utc_now() - timedelta(seconds=1))
    step(Dataset, file_id)
    assert alice.openai.files.retrieve(file_id).status == "processed"
    alice.openai.fine_tuning.jobs.cancel(job_id)
    step(Dataset, file_id)
    with pytest.raises(NotFoundError):
        alice.openai.files.retrieve(file_id)


def test_a_file_of_a_job_that_is_paused_before_it_is_created_is_kept(alice: Person) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    change(Job, job_id, status=JobStatus.QUEUED)
    alice.http.post(f"/fine_tuning/jobs/{job_id}/pause").raise_for_status()
    with pytest.raises(BadRequestError) as refused:
        alice.openai.files.delete(file_id)
    assert refused.value.code == "file_in_use"
