"""Reconciliation adopts, cancels or deletes what crashes have left at a provider, and touches nothing else."""

from collections.abc import Sequence
from typing import Any

import pytest

from shared.database import transaction
from shared.datasets.models import ProviderFile
from shared.jobs.models import Job, JobStatus, NextAction
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialCreate
from shared.settings import get_settings
from tests.cli.terminal import Tunery, terminal
from tests.worker.support import change, ids, ready_job, step_killed_before_record
from tests.world import Person, Sandbox, row, step, work
from worker.accounts.reconcile import reconcile
from worker.jobs import job_step

FILES, JOBS = "/v1/files", "/v1/fine_tuning/jobs"


@pytest.fixture
def tunery(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tunery:
    return terminal(monkeypatch, capsys)


def account() -> str:
    with transaction() as session:
        return projects.default_credential(session).id


def forgotten_job(person: Person, **values: Any) -> str:
    """The id of a job that is at the provider, while its row does not say so."""
    job_id = ready_job(person)
    step_killed_before_record(job_step.advance, job_id)
    change(Job, job_id, create_pending_at=None, next_action=NextAction.PREPARE, **values)
    return job_id


def again(sandbox: Sandbox, **metadata: str) -> str:
    """Create a second job at the provider, like the first but with these marks. Returns its id."""
    (first,) = sandbox.jobs()
    marks = {**first.metadata, **metadata}
    return sandbox.openai.fine_tuning.jobs.create(
        model=first.model, training_file=first.training_file, metadata=marks
    ).id


def statuses(sandbox: Sandbox) -> dict[str, bool]:
    """By id of each job at the provider: whether it is cancelled."""
    return {job.id: job.status == "cancelled" for job in sandbox.jobs()}


def grown_old(sandbox: Sandbox, hours: float = 2, odd: Sequence[dict[str, Any]] = ()) -> None:
    """The next list of files says that they were made so long ago, and shows these odd ones too."""
    listed = sandbox.http.get(FILES).json()
    listed["data"] = [listed["data"][0] | each for each in odd] + listed["data"]
    for file in listed["data"]:
        file["created_at"] -= int(hours * 3600)
    sandbox.arm("GET", FILES, status=200, body=listed)


def test_a_job_at_the_provider_is_adopted_by_its_row(alice: Person, sandbox: Sandbox) -> None:
    job_id = forgotten_job(alice)
    reconcile(account())
    step(Job, job_id)
    assert [row(Job, job_id).provider_job_id] == [job.id for job in sandbox.jobs()]


def test_a_job_whose_own_step_will_search_is_not_touched(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    step_killed_before_record(job_step.advance, job_id)
    before = row(Job, job_id)
    reconcile(account())
    assert row(Job, job_id) == before
    assert not any(statuses(sandbox).values())


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.FAILED])
def test_a_job_that_has_ended_here_is_cancelled_there(alice: Person, sandbox: Sandbox, status: JobStatus) -> None:
    forgotten_job(alice, status=status, due_at=None)
    reconcile(account())
    assert list(statuses(sandbox).values()) == [True]


def test_a_job_that_succeeded_and_goes_on_at_a_restored_trainer_is_let_be(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    step(Job, job_id)
    change(Job, job_id, status=JobStatus.SUCCEEDED, due_at=None)
    reconcile(account())
    assert list(statuses(sandbox).values()) == [False]


def test_the_second_of_two_jobs_at_the_provider_is_cancelled(alice: Person, sandbox: Sandbox) -> None:
    step(Job, ready_job(alice))
    (first,) = sandbox.jobs()
    second = again(sandbox)
    reconcile(account())
    assert statuses(sandbox) == {first.id: False, second: True}


def test_a_job_without_our_marks_is_not_touched(alice: Person, sandbox: Sandbox, tunery: Tunery) -> None:
    step(Job, ready_job(alice))
    others = again(sandbox, tunery_job="ftjob-other", tunery_organization="org-other")
    sandbox.openai.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=sandbox.files()[0].id)
    said = tunery("reconcile", "--restored")
    assert not any(statuses(sandbox).values())
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [["leave", others]]


ODD_JOBS: list[dict[str, Any]] = [
    {"metadata": 5},
    {"metadata": "tunery_job"},
    {"metadata": {"tunery_job": ["ftjob-1"], "tunery_organization": 5}},
    {"id": {"of": "a job"}},
    {"id": None},
    {"training_file": ["file-1"], "validation_file": {"id": 1}},
]


@pytest.mark.parametrize("odd", ODD_JOBS, ids=str)
def test_an_odd_job_in_the_list_keeps_no_other_from_being_repaired(
    alice: Person, sandbox: Sandbox, odd: dict[str, Any]
) -> None:
    job_id = forgotten_job(alice)
    listed = sandbox.http.get(JOBS).json()
    listed["data"].insert(0, listed["data"][0] | {"id": "ftjob-odd"} | odd)
    sandbox.arm("GET", JOBS, status=200, body=listed)
    reconcile(account())
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id in {job.id for job in sandbox.jobs()}


@pytest.mark.parametrize("odd", [{"filename": None}, {"filename": 5}, {"id": ["file"]}, {"id": None}], ids=str)
def test_an_odd_file_in_the_list_keeps_no_other_from_being_deleted(
    alice: Person, sandbox: Sandbox, odd: dict[str, Any]
) -> None:
    ready_job(alice)
    (copy,) = sandbox.files()
    sandbox.openai.files.create(file=(copy.filename, b"{}"), purpose="fine-tune")
    grown_old(sandbox, odd=[{"id": "file-odd", "object": "file"} | odd])
    reconcile(account())
    assert [file.id for file in sandbox.files()] == [copy.id]


def test_a_job_that_a_restored_database_does_not_know_is_cancelled_only_with_the_option_restored(
    alice: Person, sandbox: Sandbox, tunery: Tunery
) -> None:
    step(Job, ready_job(alice))
    forgotten = again(sandbox, tunery_job="ftjob-forgotten")
    reconcile(account())
    assert not any(statuses(sandbox).values())
    tunery("reconcile", "--restored")
    assert [id for id, cancelled in statuses(sandbox).items() if cancelled] == [forgotten]


def test_a_job_that_ended_after_the_backup_is_found_instead_of_created_again(
    alice: Person, sandbox: Sandbox, tunery: Tunery
) -> None:
    job_id = forgotten_job(alice)
    (there,) = sandbox.jobs()
    sandbox.move(there.id, status="succeeded")
    reconcile(account())
    assert row(Job, job_id).create_pending_at is None
    tunery("reconcile", "--restored")
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id == there.id


def test_a_job_that_has_ended_at_the_provider_is_not_cancelled(alice: Person, sandbox: Sandbox, tunery: Tunery) -> None:
    step(Job, ready_job(alice))
    sandbox.move(again(sandbox, tunery_job="ftjob-forgotten"), status="succeeded")
    assert "Nothing is left" in tunery("reconcile", "--restored").err


def test_a_file_that_nothing_points_to_is_deleted_after_an_hour(alice: Person, sandbox: Sandbox) -> None:
    ready_job(alice)
    (copy,) = sandbox.files()
    sandbox.openai.files.create(file=(copy.filename, b"{}"), purpose="fine-tune")
    reconcile(account())
    assert len(sandbox.files()) == 2
    grown_old(sandbox)
    reconcile(account())
    assert [file.id for file in sandbox.files()] == [copy.id]


def test_a_file_is_kept_while_a_job_there_needs_it_or_its_own_step_may_find_it(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    step(Job, job_id)
    (copy_id,) = ids(ProviderFile)
    change(ProviderFile, copy_id, provider_file_id=None)
    grown_old(sandbox)
    reconcile(account())
    assert len(sandbox.files()) == 1
    sandbox.move(sandbox.jobs()[0].id, status="cancelled")
    change(ProviderFile, copy_id, upload_pending_at=row(ProviderFile, copy_id).created_at)
    grown_old(sandbox)
    reconcile(account())
    assert len(sandbox.files()) == 1


def test_files_of_other_names_are_kept_however_old(alice: Person, sandbox: Sandbox) -> None:
    for name in ("train.jsonl", f"file-{'0' * 26}-{'0' * 12}.jsonl"):
        sandbox.openai.files.create(file=(name, b"{}"), purpose="fine-tune")
    grown_old(sandbox)
    reconcile(account())
    assert len(sandbox.files()) == 2


def test_a_dry_run_shows_what_would_be_done_and_changes_nothing(
    alice: Person, sandbox: Sandbox, tunery: Tunery
) -> None:
    job_id = forgotten_job(alice)
    (there,) = sandbox.jobs()
    before = row(Job, job_id)
    said = tunery("reconcile", "--dry-run")
    assert said.out.splitlines()[1].split()[:3] == ["adopt", there.id, job_id]
    assert row(Job, job_id) == before
    assert tunery("reconcile").out == said.out
    assert row(Job, job_id).create_pending_at is not None


def test_it_says_that_there_is_nothing_to_repair(alice: Person, sandbox: Sandbox, tunery: Tunery) -> None:
    work()
    assert "Nothing is left" in tunery("reconcile").err


def test_a_provider_that_gives_no_answer_is_called_again_the_next_day(alice: Person, sandbox: Sandbox) -> None:
    forgotten_job(alice)
    sandbox.arm("GET", "/v1/fine_tuning/jobs", status=500)
    reconcile(account())
    assert not any(statuses(sandbox).values())


def test_an_account_without_an_answer_is_named_and_the_others_are_repaired(
    alice: Person, sandbox: Sandbox, tunery: Tunery
) -> None:
    job_id = forgotten_job(alice)
    with transaction() as session:
        new = {"name": "gone", "base_url": get_settings().provider.base_url, "api_key": "sk-nobody"}
        gone = credentials.create(session, alice.project_id, CredentialCreate.model_validate(new)).id
    said = tunery("reconcile")
    assert said.code == 1
    assert [job_id in line for line in said.out.splitlines()[1:]] == [True]
    assert f"{gone}: " in said.err
    assert row(Job, job_id).create_pending_at is not None
