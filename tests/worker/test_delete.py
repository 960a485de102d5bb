"""Datasets and models that are deleted or expire here are removed at the provider too."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openai import NotFoundError

from shared.datasets.models import Dataset, DatasetStatus, ProviderFile
from shared.db.times import utc_now
from shared.jobs.models import Job, TunedModel
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.worker.support import calls, change, ids, running_job, settings, step_while
from tests.world import Person, Sandbox, row, step, work, work_until_created
from worker.datasets import dataset_step
from worker.runtime.steps import run

MODELS, FILES = "/v1/models/*", "/v1/files/*"


def sent_file(person: Person, sandbox: Sandbox, file_id: str | None = None) -> str:
    """A dataset with a copy at the provider, which no job needs any more."""
    file_id = file_id or person.upload()
    job_id, theirs = running_job(person, sandbox, training_file=file_id)
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    return file_id


def tuned_model(person: Person, sandbox: Sandbox) -> str:
    """The name of a model that a job has made."""
    sent_file(person, sandbox)
    (model_id,) = ids(TunedModel)
    return str(row(TunedModel, model_id).name)


def is_there(sandbox: Sandbox, name: str) -> bool:
    return name in {model.id for model in sandbox.openai.models.list()}


def test_a_deleted_model_is_deleted_at_the_provider(alice: Person, sandbox: Sandbox) -> None:
    name = tuned_model(alice, sandbox)
    alice.openai.models.delete(name)
    assert is_there(sandbox, name)
    work()
    assert not is_there(sandbox, name)
    assert row(TunedModel, ids(TunedModel)[0]).due_at is None


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_model_is_deleted_later_if_the_provider_cannot_now(alice: Person, sandbox: Sandbox, status: int) -> None:
    name = tuned_model(alice, sandbox)
    alice.openai.models.delete(name)
    sandbox.arm("DELETE", MODELS, status=status)
    work()
    assert is_there(sandbox, name)
    work()
    assert not is_there(sandbox, name)


@pytest.mark.parametrize("status", [403, 404])
def test_a_delete_that_the_provider_refuses_is_not_repeated(alice: Person, sandbox: Sandbox, status: int) -> None:
    name = tuned_model(alice, sandbox)
    alice.openai.models.delete(name)
    sandbox.arm("DELETE", MODELS, status=status)
    work(2)
    assert calls(sandbox, "DELETE /v1/models/{model}") == 1
    with pytest.raises(NotFoundError):
        alice.openai.models.retrieve(name)


def test_a_deleted_dataset_leaves_neither_bytes_nor_provider_files(alice: Person, sandbox: Sandbox) -> None:
    file_id = sent_file(alice, sandbox)
    alice.openai.files.delete(file_id)
    work()
    assert (sandbox.files(), ids(ProviderFile)) == ([], [])
    assert not (Path(get_settings().storage) / file_id).exists()
    assert row(Dataset, file_id).due_at is None


@pytest.mark.parametrize("fault", [{"status": 401}, {"status": 500}, {"drop": "before"}, {"drop": "after"}], ids=str)
def test_a_provider_file_that_cannot_be_deleted_now_is_deleted_later(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    file_id = sent_file(alice, sandbox)
    alice.openai.files.delete(file_id)
    sandbox.arm("DELETE", FILES, **fault)
    work()
    assert len(ids(ProviderFile)) == 1
    work()
    assert (sandbox.files(), ids(ProviderFile)) == ([], [])


def sent_file_of_a_gone_account(person: Person, sandbox: Sandbox) -> tuple[str, str]:
    """A dataset with two copies, the first of them at an account that is no longer configured, and that copy's id."""
    with settings(TUNERY_PROVIDER__BASE_URL=f"{sandbox.address}/./v1"):
        file_id = sent_file(person, sandbox)
    (copy,) = ids(ProviderFile)
    return sent_file(person, sandbox, file_id), copy


def test_a_deleted_account_keeps_neither_the_bytes_nor_the_other_provider_files(
    alice: Person, sandbox: Sandbox
) -> None:
    file_id, copy = sent_file_of_a_gone_account(alice, sandbox)
    alice.openai.files.delete(file_id)
    for _ in range(2):  # the second time the other copy is not found any more
        step(Dataset, file_id)
        assert not (Path(get_settings().storage) / file_id).exists()
        assert [file.id for file in sandbox.files()] == [row(ProviderFile, copy).provider_file_id]
    with settings(TUNERY_PROVIDER__BASE_URL=f"{sandbox.address}/./v1"):
        step(Dataset, file_id)
    assert sandbox.files() == []


def test_an_account_that_backs_off_keeps_neither_the_bytes_nor_the_other_provider_files(
    alice: Person, sandbox: Sandbox
) -> None:
    file_id, copy = sent_file_of_a_gone_account(alice, sandbox)
    until = utc_now() + timedelta(minutes=10)
    change(Credential, row(ProviderFile, copy).credential_id, paused_until=until)
    alice.openai.files.delete(file_id)
    run(dataset_step.advance, file_id)
    assert not (Path(get_settings().storage) / file_id).exists()
    assert [file.id for file in sandbox.files()] == [row(ProviderFile, copy).provider_file_id]
    assert until - timedelta(seconds=1) < row(Dataset, file_id).due_at < until + timedelta(minutes=3)
    with settings(TUNERY_PROVIDER__BASE_URL=f"{sandbox.address}/./v1"):
        step(Dataset, file_id)  # for which nobody is left alone
    assert sandbox.files() == []


def test_an_expired_provider_file_is_not_waited_for(alice: Person, sandbox: Sandbox) -> None:
    file_id, copy = sent_file_of_a_gone_account(alice, sandbox)
    change(ProviderFile, copy, expires_at=utc_now())
    alice.openai.files.delete(file_id)
    step(Dataset, file_id)
    assert (row(Dataset, file_id).due_at, ids(ProviderFile)) == (None, [])


def test_a_distrusted_provider_file_is_deleted_too(alice: Person, sandbox: Sandbox) -> None:
    file_id = sent_file(alice, sandbox)
    change(ProviderFile, ids(ProviderFile)[0], expires_at=utc_now())
    alice.openai.files.delete(file_id)
    step(Dataset, file_id)
    assert sandbox.files() == []


def test_a_provider_file_of_an_account_that_is_not_configured_any_more_waits_for_it(
    alice: Person, sandbox: Sandbox
) -> None:
    file_id = sent_file(alice, sandbox)
    alice.openai.files.delete(file_id)
    with settings(TUNERY_PROVIDER__BASE_URL="https://elsewhere.example/v1"):
        step(Dataset, file_id)
    assert len(ids(ProviderFile)) == len(sandbox.files()) == 1
    step(Dataset, file_id)
    assert (sandbox.files(), ids(ProviderFile)) == ([], [])


def test_a_dataset_expires_when_its_time_has_come_and_not_before(alice: Person, sandbox: Sandbox) -> None:
    expiry = {"anchor": "created_at", "seconds": 3600}
    made = alice.http.post("/files", files={"file": b"x"}, data={"purpose": "assistants"} | form(expiry)).json()
    dataset = row(Dataset, made["id"])
    assert dataset.due_at == dataset.expires_at
    step(Dataset, made["id"])
    assert alice.openai.files.retrieve(made["id"]).expires_at == made["created_at"] + 3600
    change(Dataset, made["id"], expires_at=utc_now())
    step(Dataset, made["id"])
    with pytest.raises(NotFoundError):
        alice.openai.files.retrieve(made["id"])
    assert not (Path(get_settings().storage) / made["id"]).exists()


def form(expiry: dict[str, object]) -> dict[str, object]:
    return {f"expires_after[{name}]": value for name, value in expiry.items()}


def test_an_expired_dataset_takes_its_provider_files_with_it(alice: Person, sandbox: Sandbox) -> None:
    file_id = sent_file(alice, sandbox)
    change(Dataset, file_id, expires_at=utc_now() - timedelta(seconds=1), due_at=utc_now())
    work()
    assert sandbox.files() == []


def test_a_dataset_does_not_expire_before_the_job_that_needs_it_is_created(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    change(Dataset, file_id, expires_at=utc_now() - timedelta(seconds=1))
    sandbox.move(work_until_created(job_id), status="running")
    assert len(sandbox.files()) == 1
    work(2)
    assert alice.http.get(f"/files/{file_id}").status_code == 404
    assert sandbox.files() == []


def test_a_dataset_that_is_deleted_while_it_is_checked_is_removed_afterwards(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    step_while(dataset_step.advance, file_id, lambda: alice.openai.files.delete(file_id))
    step(Dataset, file_id)
    assert not (Path(get_settings().storage) / file_id).exists()
    assert row(Dataset, file_id).due_at is None


def test_a_dataset_whose_bytes_are_gone_becomes_an_error_and_fails_its_jobs(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    (Path(get_settings().storage) / file_id).unlink()
    with settings(TUNERY_MAX_STEP_FAILURES="2"):
        work(4)
    assert row(Dataset, file_id).status is DatasetStatus.ERROR
    assert row(Job, job_id).error["code"] == "internal_error"


def test_a_model_can_be_made_from_a_model_whose_training_file_is_gone(alice: Person, sandbox: Sandbox) -> None:
    name = tuned_model(alice, sandbox)
    (file_id,) = {job.training_file for job in alice.openai.fine_tuning.jobs.list()}
    alice.openai.files.delete(file_id)
    work()
    assert work_until_created(alice.create_job(model=name)) in {job.id for job in sandbox.jobs()}
