"""Examples in both of a job's files are a warning, written once, before the job is created."""

import pytest

from shared.datasets.models import Dataset
from shared.datasets.storage import store
from shared.jobs.models import Job, JobStatus
from tests.worker.support import change, ids, ready_job, step_killed_before_record, step_while
from tests.world import Person, Sandbox, lines, row, step, work, work_until_created
from worker.jobs import job_step, overlap

NEARLY = lines(5).replace(b"Question", b"QUESTION").splitlines(keepends=True)[4]
VALIDATION = lines(3) + NEARLY + lines(30)[len(lines(20)) :]


def warnings(person: Person, job_id: str) -> list[str]:
    """The messages of the job's warnings, by the SDK."""
    events = person.openai.fine_tuning.jobs.list_events(fine_tuning_job_id=job_id, limit=100)
    return [event.message for event in events if event.level == "warn"]


def files(person: Person, validation: bytes = VALIDATION) -> dict[str, str]:
    return {"training_file": person.upload(lines(20)), "validation_file": person.upload(validation)}


def checked_job(person: Person) -> str:
    """A job whose next step compares its files."""
    job_id = person.create_job(**files(person))
    for dataset_id in ids(Dataset):
        step(Dataset, dataset_id)
    return job_id


def test_a_warning_counts_the_examples_in_both_files_and_links_to_the_list(alice: Person, sandbox: Sandbox) -> None:
    named = files(alice)
    job_id = alice.create_job(**named)
    work_until_created(job_id)
    address = f"/v1/datasets/{named['validation_file']}/compare?other={named['training_file']}"
    assert warnings(alice, job_id) == [
        "4 of the 14 examples of the validation file are also in the training file (1 of them nearly): "
        f"the validation loss will look better than it is. GET {address} lists them"
    ]
    assert alice.http.get(address.removeprefix("/v1")).json()["exact"] == 3


def test_a_warning_about_large_files_says_how_much_was_compared(
    alice: Person, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "MAX_COMPARED_BYTES", len(lines(2)))
    job_id = alice.create_job(**files(alice))
    work_until_created(job_id)
    [told] = warnings(alice, job_id)
    assert told.startswith("2 of the 2 examples")
    assert "Only the beginnings of the files were compared" in told


def test_files_without_a_common_example_get_no_warning(alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job(**files(alice, lines(40)[len(lines(20)) :]))
    work_until_created(job_id)
    assert warnings(alice, job_id) == []


def test_a_comparison_whose_worker_is_killed_is_repeated_and_warns_once(alice: Person, sandbox: Sandbox) -> None:
    job_id = checked_job(alice)
    step_killed_before_record(job_step.advance, job_id)
    assert warnings(alice, job_id) == []
    work_until_created(job_id)
    assert len(warnings(alice, job_id)) == 1


def test_a_comparison_that_keeps_killing_its_worker_is_skipped(alice: Person, sandbox: Sandbox) -> None:
    job_id = checked_job(alice)
    step_killed_before_record(job_step.advance, job_id)
    step_killed_before_record(job_step.advance, job_id)
    assert work_until_created(job_id) == sandbox.jobs()[0].id
    assert warnings(alice, job_id) == []


def test_unreadable_files_do_not_keep_a_job_from_being_created(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice, **files(alice))
    change(Job, job_id, compared_at=None)
    store.remove(*ids(Dataset))
    assert work_until_created(job_id) == sandbox.jobs()[0].id


def test_a_job_that_is_cancelled_during_the_comparison_stays_cancelled(alice: Person, sandbox: Sandbox) -> None:
    job_id = checked_job(alice)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    work()
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert warnings(alice, job_id) == []
