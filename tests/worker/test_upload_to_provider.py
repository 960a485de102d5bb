"""Sending a dataset to a provider: once, whole or in parts, and found again after a crash."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from shared.datasets.models import Dataset, ProviderFile, ProviderFileStatus
from shared.db.times import utc_now
from shared.jobs.models import Job, NextAction
from shared.projects.models import Credential
from shared.providers.capabilities import CAPABILITIES
from shared.providers.dialects import Dialect
from shared.settings import get_settings
from tests.worker.reach_steps import LARGE, large_copy
from tests.worker.support import calls, change, ids, pass_create_grace, ready_job, settings, step_killed_before_record
from tests.world import Person, Sandbox, lines, row, step, work, work_until_created
from worker.datasets import upload_to_provider

FILES = "/v1/files"
UNKNOWN_ENDS: list[dict[str, Any]] = [{"drop": "after"}, {"status": 500, "after_effect": True}, {"body": {"id": None}}]


def waiting_file(person: Person) -> str:
    """The provider file that a new job needs, before anything was sent."""
    person.create_job()
    work()
    (file_id,) = ids(ProviderFile)
    return file_id


@pytest.fixture
def large_file(alice: Person) -> Iterator[str]:
    with large_copy(alice) as file_id:
        yield file_id


def test_a_dataset_is_sent_once_however_many_jobs_need_it(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    jobs = [alice.create_job(training_file=file_id, validation_file=file_id) for _ in range(3)]
    for job_id in jobs:
        work_until_created(job_id)
    (copy,) = sandbox.files()
    assert {(job.training_file, job.validation_file) for job in sandbox.jobs()} == {(copy.id, copy.id)}
    assert sandbox.openai.files.content(copy.id).content == lines()


def test_each_account_gets_a_provider_file_of_its_own(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    work_until_created(alice.create_job(training_file=file_id))
    with settings(TUNERY_PROVIDER__BASE_URL=f"{sandbox.address}/./v1"):
        work_until_created(alice.create_job(training_file=file_id))
    assert len(ids(ProviderFile)) == len(sandbox.files()) == 2


def test_a_small_file_goes_in_one_request_under_a_name_that_can_be_found(alice: Person, sandbox: Sandbox) -> None:
    file = row(ProviderFile, waiting_file(alice))
    step(ProviderFile, file.id)
    (copy,) = sandbox.files()
    assert copy.filename == f"{file.dataset_id}-{sha256(lines()).hexdigest()[:12]}.jsonl"
    assert copy.expires_at == copy.created_at + get_settings().provider.file_expiry.total_seconds()
    assert calls(sandbox, "POST /v1/uploads") == 0


def test_a_large_file_is_sent_one_part_a_step_and_found_after_the_answer_to_its_completion_was_lost(
    large_file: str, sandbox: Sandbox
) -> None:
    sandbox.arm("POST", "/v1/uploads/*/complete", drop="after")
    dataset_id = row(ProviderFile, large_file).dataset_id
    for sent in range(1 + LARGE // CAPABILITIES[Dialect.OPENAI].part_bytes + 1):
        step(ProviderFile, large_file)
        assert len(row(ProviderFile, large_file).part_ids) == sent
    for _ in range(4):  # the last part, the completion that is lost, its refused repetition, the search
        step(ProviderFile, large_file)
    (copy,) = sandbox.files()
    assert row(ProviderFile, large_file).provider_file_id == copy.id
    assert calls(sandbox, "POST /v1/files") == 0
    content = (Path(get_settings().storage) / dataset_id).read_bytes()
    assert sandbox.openai.files.content(copy.id).content == content


def test_a_large_file_whose_parts_are_refused_fails_in_the_end(large_file: str, sandbox: Sandbox) -> None:
    error = {"message": "Too many parts.", "type": "invalid_request_error", "code": "quota", "param": None}
    sandbox.arm("POST", "/v1/uploads/*/parts", times=99, status=400, after_effect=True, body={"error": error})
    with settings(TUNERY_MAX_STEP_FAILURES="2"):
        for _ in range(10):
            step(ProviderFile, large_file)
    file = row(ProviderFile, large_file)
    assert (file.status, file.error_code, file.error_message) == (ProviderFileStatus.FAILED, "quota", "Too many parts.")
    assert file.due_at is None


@pytest.mark.parametrize("fault", UNKNOWN_ENDS, ids=str)
def test_a_file_whose_upload_had_no_answer_is_found_again(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.arm("POST", FILES, **fault)
    job_id = alice.create_job()
    work_until_created(job_id)
    (copy,) = sandbox.files()
    assert calls(sandbox, "POST /v1/files") == 1
    assert sandbox.jobs()[0].training_file == copy.id


def test_a_file_sent_by_a_killed_worker_is_found_by_the_next_one(alice: Person, sandbox: Sandbox) -> None:
    file_id = waiting_file(alice)
    step_killed_before_record(upload_to_provider.upload, file_id)
    step(ProviderFile, file_id)
    (copy,) = sandbox.files()
    assert row(ProviderFile, file_id).provider_file_id == copy.id


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"status": 503}, {"status": 200, "body": "<html>"}], ids=str)
def test_a_file_that_did_not_arrive_is_sent_again(alice: Person, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.arm("POST", FILES, **fault)
    work_until_created(alice.create_job())
    assert len(sandbox.files()) == 1
    assert calls(sandbox, "POST /v1/files") == 2


def test_a_file_that_may_still_arrive_is_not_searched_for_before_the_grace_is_over(
    alice: Person, sandbox: Sandbox
) -> None:
    file_id = waiting_file(alice)
    sandbox.arm("POST", FILES, drop="after")
    step(ProviderFile, file_id)
    wait = row(ProviderFile, file_id).due_at - utc_now()
    assert get_settings().create_grace - timedelta(seconds=30) < wait <= get_settings().create_grace


def test_a_file_is_not_searched_for_after_a_refused_connection(alice: Person, sandbox: Sandbox) -> None:
    file_id = waiting_file(alice)
    with settings(TUNERY_PROVIDER__BASE_URL="http://127.0.0.1:9/v1"):
        change(Credential, row(ProviderFile, file_id).credential_id, base_url="http://127.0.0.1:9/v1")
        step(ProviderFile, file_id)
    assert row(ProviderFile, file_id).upload_pending_at is None


def test_somebody_elses_file_of_the_same_name_is_not_taken_for_ours(alice: Person, sandbox: Sandbox) -> None:
    file_id = waiting_file(alice)
    dataset = row(Dataset, row(ProviderFile, file_id).dataset_id)
    name = f"{dataset.id}-{dataset.sha256[:12]}.jsonl"
    other = sandbox.openai.files.create(file=(name, lines(30)), purpose="fine-tune")
    change(ProviderFile, file_id, upload_pending_at=utc_now())
    step(ProviderFile, file_id)
    assert row(ProviderFile, file_id).provider_file_id not in {None, other.id}


def test_a_retry_waits_as_long_as_the_provider_asks(alice: Person, sandbox: Sandbox) -> None:
    file_id = waiting_file(alice)
    sandbox.arm("POST", FILES, status=429, headers={"retry-after": "1000"})
    step(ProviderFile, file_id)
    file = row(ProviderFile, file_id)
    assert timedelta(seconds=900) < file.due_at - utc_now() <= timedelta(seconds=1000)
    assert file.upload_pending_at is None  # it was certainly not stored


def test_a_refused_file_fails_its_job_with_the_providers_reason(alice: Person, sandbox: Sandbox) -> None:
    error = {"message": "Line 1 is not JSON.", "type": "invalid_request_error", "code": "bad_jsonl", "param": "file"}
    sandbox.arm("POST", FILES, status=400, body={"error": error})
    job_id = alice.create_job()
    work(2)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.message, job.error.param) == ("bad_jsonl", "Line 1 is not JSON.", "training_file")
    assert sandbox.jobs() == []


def test_a_new_job_gives_a_refused_file_another_try(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    sandbox.arm("POST", FILES, status=413)
    alice.create_job(training_file=file_id)
    work(2)
    assert work_until_created(alice.create_job(training_file=file_id)) == sandbox.jobs()[0].id


def test_a_dataset_that_was_deleted_in_the_meantime_is_not_sent(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id = alice.create_job(training_file=file_id)
    work()
    (copy_id,) = ids(ProviderFile)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    alice.openai.files.delete(file_id)
    step(ProviderFile, copy_id)
    assert row(ProviderFile, copy_id).error_code == "file_deleted"
    assert sandbox.files() == []


def test_a_provider_file_that_is_about_to_expire_is_replaced_before_a_job_uses_it(
    alice: Person, sandbox: Sandbox
) -> None:
    file_id = alice.upload()
    work_until_created(alice.create_job(training_file=file_id))
    (copy_id,) = ids(ProviderFile)
    old = row(ProviderFile, copy_id).provider_file_id
    change(ProviderFile, copy_id, expires_at=utc_now() + timedelta(hours=1))
    work_until_created(alice.create_job(training_file=file_id))
    new = row(ProviderFile, copy_id).provider_file_id
    assert [job.training_file for job in sandbox.jobs()] == [new, old]
    assert new != old


def test_a_provider_file_that_was_deleted_there_is_sent_again_for_the_next_job(alice: Person, sandbox: Sandbox) -> None:
    file_id = alice.upload()
    job_id = ready_job(alice, training_file=file_id)
    sandbox.openai.files.delete(sandbox.files()[0].id)
    step(Job, job_id)
    assert row(Job, job_id).error["param"] == "training_file"
    work_until_created(alice.create_job(training_file=file_id))
    assert len(sandbox.jobs()) == 1


def test_a_worker_that_was_killed_before_its_call_loses_nothing(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, create_pending_at=utc_now(), next_action=NextAction.FIND)
    pass_create_grace(job_id)
    assert work_until_created(job_id) == sandbox.jobs()[0].id
