"""Jobs at an Azure project: what is too large for its address, what is refused, a file that fails late, no metadata."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.providers import capabilities
from shared.providers.dialects import Dialect
from tests.worker.support import change, pass_create_grace, ready_job, settings
from tests.world import Person, Sandbox, lines, row, sandbox_of, step, work, work_until_created
from worker.jobs.actions import failures

BASE = "/api/projects/tutors/openai/v1"
MODEL = "gpt-4o-mini-2024-07-18"


@pytest.fixture(scope="module")
def server_of_azure() -> Iterator[Sandbox]:
    with sandbox_of("azure") as sandbox:
        yield sandbox


@pytest.fixture
def azure(server_of_azure: Sandbox, clean: str) -> Iterator[Sandbox]:
    """The deployment's provider, by the address of a project."""
    server_of_azure.reset()
    with settings(TUNERY_PROVIDER__BASE_URL=f"{server_of_azure.address}{BASE}", TUNERY_PROVIDER__DIALECT="azure"):
        yield server_of_azure
    server_of_azure.disarm()


def calls(azure: Sandbox) -> dict[str, int]:
    counted: dict[str, int] = azure.http.get("/sandbox/requests").raise_for_status().json()["requests"]
    return counted


def failed(alice: Person, job_id: str) -> Any:
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.status == "failed"
    assert row(Job, job_id).due_at is None
    return job.error


def test_a_file_too_large_for_one_call_fails_its_job_at_once_in_words(
    alice: Person, azure: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = replace(capabilities.CAPABILITIES[Dialect.AZURE], max_whole_file_bytes=len(lines()))
    monkeypatch.setitem(capabilities.CAPABILITIES, Dialect.AZURE, able)
    small, large = alice.create_job(model=MODEL), alice.create_job(model=MODEL, training_file=alice.upload(lines(13)))
    work_until_created(small)
    work(5)
    error = failed(alice, large)
    assert (error.code, error.param) == ("unsupported_by_provider", "training_file")
    assert "the address of the resource" in error.message
    assert calls(azure)[f"POST {BASE}/uploads"] == 1


def test_a_file_that_fails_late_fails_its_job_in_azures_words(alice: Person, azure: Sandbox) -> None:
    azure.http.post("/sandbox/azure", json={"whole_file_fails_above": 10}).raise_for_status()
    job_id = alice.create_job(model=MODEL)
    work(5)
    error = failed(alice, job_id)
    assert (error.code, error.param) == ("invalid_training_file", "training_file")
    assert "The file could not be imported" in error.message
    assert calls(azure)[f"POST {BASE}/fine_tuning/jobs"] == 1


def test_a_job_is_paused_goes_on_and_becomes_a_model_that_can_be_tuned_again(alice: Person, azure: Sandbox) -> None:
    job_id = alice.create_job(model=MODEL, suffix="tutor")
    theirs = work_until_created(job_id)
    azure.move(theirs, status="running")
    work()
    alice.openai.fine_tuning.jobs.pause(job_id)
    azure.http.post("/sandbox/azure", json={"pauses_slowly": True}).raise_for_status()
    work(2)
    azure.http.post("/sandbox/azure", json={}).raise_for_status()
    work(2)
    assert row(Job, job_id).status == "paused"
    alice.openai.fine_tuning.jobs.resume(job_id)
    work(2)
    azure.move(theirs, status="succeeded")
    work(2)
    model = alice.openai.fine_tuning.jobs.retrieve(job_id).fine_tuned_model
    assert model == f"{MODEL}.ft-{theirs.removeprefix('ftjob-')}-tutor"
    assert work_until_created(alice.create_job(model=model)) != theirs


def test_a_training_type_is_sent_as_azure_takes_it(alice: Person, azure: Sandbox) -> None:
    options = {"provider_options": {"trainingType": "GLOBALSTANDARD"}}
    work()
    theirs = work_until_created(alice.create_job(model="gpt-oss-20b", extra_body=options))
    shown = azure.http.get(f"{BASE}/fine_tuning/jobs/{theirs}").json()
    assert shown["trainingType"] == "GlobalStandard"
    refused = alice.create_job(model="gpt-oss-20b")
    work(5)
    assert "globalStandard" in failed(alice, refused).message


def unanswered_create(alice: Person, azure: Sandbox, file_id: str, drop: str) -> str:
    """A job whose create had no answer, and was searched for, where no metadata is kept."""
    azure.http.post("/sandbox/azure", json={"keeps_metadata": False}).raise_for_status()
    azure.arm("POST", f"{BASE}/fine_tuning/jobs", drop=drop)
    job_id = ready_job(alice, model=MODEL, training_file=file_id)
    step(Job, job_id)
    pass_create_grace(job_id)
    step(Job, job_id)
    return job_id


def test_a_job_that_nobody_can_recognise_is_not_created_twice(alice: Person, azure: Sandbox) -> None:
    job_id = unanswered_create(alice, azure, alice.upload(), "after")
    long_ago = utc_now() - failures.MAX_TIME_WITHOUT_ANSWER
    change(Job, job_id, unanswered_since=long_ago, retries=failures.MIN_ATTEMPTS_WITHOUT_ANSWER)
    step(Job, job_id)
    error = failed(alice, job_id)
    assert (error.code, "has no metadata" in error.message) == ("create_unknown", True)
    assert calls(azure)[f"POST {BASE}/fine_tuning/jobs"] == 1


def test_a_job_that_nobody_can_recognise_is_not_taken_for_another_one(alice: Person, azure: Sandbox) -> None:
    file_id = alice.upload()
    first = work_until_created(alice.create_job(model=MODEL, training_file=file_id))
    second = unanswered_create(alice, azure, file_id, "before")
    assert (row(Job, second).provider_job_id, row(Job, second).status) == (None, "validating_files")
    assert [job["id"] for job in azure.http.get(f"{BASE}/fine_tuning/jobs").json()["data"]] == [first]


def test_a_job_that_is_surely_not_there_is_created_again_where_no_metadata_is_kept(
    alice: Person, azure: Sandbox
) -> None:
    work_until_created(alice.create_job(model=MODEL))
    job_id = unanswered_create(alice, azure, alice.upload(lines(13)), "before")
    assert work_until_created(job_id)
    assert len(azure.http.get(f"{BASE}/fine_tuning/jobs").json()["data"]) == 2
