"""Where a job carries no mark of ours at its provider, its training file is the mark: each create names another."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError

from shared.datasets.models import Dataset
from shared.jobs.models import Job, JobStatus, Watch
from tests.worker.support import ids, pass_create_grace, ready_job, settings, step_killed_before_record
from tests.world import Person, Sandbox, lines, row, step, work, work_until_created
from worker.jobs import job_step

JOBS = "/v1/fine_tuning/jobs"
LAMBDA = {"type": "lambda", "lambda": {"function": "arn:aws:lambda:us-west-2:123456789012:function:grade"}}


@pytest.fixture(autouse=True)
def at_mantle() -> Iterator[None]:
    with settings(TUNERY_PROVIDER__DIALECT="mantle"):
        yield


def upload(alice: Person) -> str:
    return alice.upload(lines(100))


def test_two_jobs_of_one_dataset_name_two_files(alice: Person, sandbox: Sandbox) -> None:
    dataset = upload(alice)
    made = [alice.create_job(training_file=dataset) for _ in range(2)]
    theirs = [work_until_created(job_id, rounds=8) for job_id in made]
    named = {job.id: job.training_file for job in sandbox.jobs()}
    assert len(set(named.values())) == 2
    assert [row(Job, job_id).provider_training_file for job_id in made] == [named[id] for id in theirs]


def test_jobs_that_are_ready_at_once_do_not_name_the_same_file(alice: Person, sandbox: Sandbox) -> None:
    """Both have seen the same file at the provider before one of them was created."""
    dataset = upload(alice)
    waiting = ready_job(alice, training_file=dataset)
    first = alice.create_job(training_file=dataset)
    for job_id in (first, waiting):
        step(Job, job_id)
    assert [bool(row(Job, job_id).provider_job_id) for job_id in (first, waiting)] == [True, False]
    work_until_created(waiting)
    assert len({job.training_file for job in sandbox.jobs()}) == 2


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"status": 500, "after_effect": True}], ids=str)
def test_a_create_without_an_answer_is_found_by_its_file(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = ready_job(alice, training_file=upload(alice))
    sandbox.arm("POST", JOBS, **fault)
    step(Job, job_id)
    assert row(Job, job_id).provider_job_id is None
    pass_create_grace(job_id)
    step(Job, job_id)
    [job] = sandbox.jobs()
    assert row(Job, job_id).provider_job_id == job.id


def test_a_worker_that_dies_in_a_create_leaves_one_job(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice, training_file=upload(alice))
    step_killed_before_record(job_step.advance, job_id)
    pass_create_grace(job_id)
    step(Job, job_id)
    [job] = sandbox.jobs()
    assert row(Job, job_id).provider_job_id == job.id


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"status": 500}, {"status": 429}], ids=str)
def test_the_next_attempt_names_another_file(alice: Person, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """So that a create which arrives late is not taken for the later one."""
    job_id = ready_job(alice, training_file=upload(alice))
    sandbox.arm("POST", JOBS, **fault)
    step(Job, job_id)
    first = row(Job, job_id).provider_training_file
    if row(Job, job_id).create_pending_at is not None:
        pass_create_grace(job_id)
    work_until_created(job_id, rounds=8)
    [job] = sandbox.jobs()
    assert row(Job, job_id).provider_training_file == job.training_file != first


def test_a_job_is_polled_by_itself(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice, training_file=upload(alice))
    step(Job, job_id)
    [watch_id] = ids(Watch)
    step(Watch, watch_id)
    [job] = sandbox.jobs()
    sandbox.move(job.id, status="succeeded")
    work(2)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_a_file_that_is_too_small_is_refused_in_the_create(alice: Person) -> None:
    dataset = alice.upload(lines(99))
    step(Dataset, dataset)
    with pytest.raises(BadRequestError, match="The file has 99 examples, but openai wants at least 100") as refusal:
        alice.create_job(training_file=dataset)
    assert (refusal.value.code, refusal.value.param) == ("unsupported_by_provider", "training_file")


def test_a_file_that_is_found_to_be_too_small_fails_the_job_before_it_is_sent(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice, training_file=alice.upload(lines(99)))
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.param) == ("failed", "unsupported_by_provider", "training_file")
    assert sandbox.files() == []


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"suffix": "mine"}, "suffix"),
        ({"seed": 0}, "seed"),
        ({"method": {"type": "dpo"}}, "method"),
        ({"method": {"type": "reinforcement", "reinforcement": {"grader": {"type": "string_check"}}}}, "grader"),
    ],
    ids=str,
)
def test_what_it_has_not_is_refused_in_the_create(alice: Person, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as refusal:
        alice.create_job(training_file=upload(alice), **asked)
    assert refusal.value.code == "unsupported_by_provider"
    assert str(refusal.value.param).endswith(param)


def test_a_lambda_may_grade(alice: Person) -> None:
    rows = b'{"messages": [{"role": "user", "content": "2 + %d?"}], "reference_answer": "%d"}\n'
    dataset = alice.upload(b"".join(rows % (number, number + 2) for number in range(100)))
    method = {"type": "reinforcement", "reinforcement": {"grader": LAMBDA}}
    new = {"training_file": dataset, "method": method, "model": "o4-mini"}
    job = alice.http.post("/fine_tuning/jobs", json=new).raise_for_status().json()
    assert job["method"]["reinforcement"]["grader"] == LAMBDA
