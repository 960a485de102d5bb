"""The controls for tests: jobs moved by hand, a list that lags, and a reset."""

import pytest

from tests.sandbox.process import Sandbox, wait_for_end
from tests.servers import until


@pytest.mark.parametrize("status", ["queued", "running", "paused", "succeeded", "failed", "cancelled"])
def test_a_job_is_moved_at_once(sandbox: Sandbox, status: str) -> None:
    assert str(sandbox.move(sandbox.job(), status=status).status) == status


def test_a_job_that_is_held_stays_and_another_runs_on() -> None:
    """At speed 1 a job is validated for two seconds: time enough to hold it before it is queued."""
    with Sandbox(speed=1) as sandbox:
        small = {"batch_size": 10, "n_epochs": 1}
        held = sandbox.move(sandbox.job(examples=10, hyperparameters=small), status="running")
        free = sandbox.move(sandbox.job(examples=10, hyperparameters=small), status="running", hold=False)
        assert wait_for_end(sandbox, free).status == "succeeded"
        assert sandbox.openai.fine_tuning.jobs.retrieve(held.id).status == "running"


def test_a_job_fails_with_the_error_that_was_given(sandbox: Sandbox) -> None:
    error = {"code": "exceeded_quota", "message": "Too dear.", "param": None}
    job = sandbox.move(sandbox.job(), status="failed", error=error)
    assert job.error
    assert job.error.to_dict() == error


def test_a_job_cannot_go_back_or_leave_its_end(sandbox: Sandbox) -> None:
    job = sandbox.move(sandbox.job(), status="running")
    assert sandbox.http.post(f"/sandbox/jobs/{job.id}", json={"status": "queued"}).status_code == 400
    assert sandbox.openai.fine_tuning.jobs.retrieve(job.id).status == "running"
    sandbox.move(job, status="cancelled")
    assert sandbox.http.post(f"/sandbox/jobs/{job.id}", json={"status": "running"}).status_code == 400


def test_a_job_can_be_had_many_times_over_and_each_lives_on_alone(sandbox: Sandbox) -> None:
    job = sandbox.move(sandbox.job(), status="running")
    answer = sandbox.http.post(f"/sandbox/jobs/{job.id}/copies", json={"count": 120}).raise_for_status().json()
    assert len(list(sandbox.openai.fine_tuning.jobs.list(limit=100))) == 121
    copy = sandbox.openai.fine_tuning.jobs.retrieve(answer["data"][0]["id"])
    assert sandbox.openai.fine_tuning.jobs.list_events(copy.id).data[0].id == answer["data"][0]["newest_event"]
    assert (copy.status, copy.training_file) == ("running", job.training_file)
    assert sandbox.move(copy, status="succeeded").fine_tuned_model
    assert sandbox.openai.fine_tuning.jobs.retrieve(job.id).status == "running"


def test_a_new_job_can_be_missing_from_the_list_for_a_while(sandbox: Sandbox) -> None:
    sandbox.control("list_lag", seconds=1e9)
    job = sandbox.job()
    assert sandbox.openai.fine_tuning.jobs.list().data == []
    assert sandbox.openai.fine_tuning.jobs.retrieve(job.id).id == job.id
    sandbox.control("list_lag", seconds=0.5)
    later = sandbox.job()
    assert [each.id for each in until(lambda: sandbox.openai.fine_tuning.jobs.list().data)] == [later.id]


def test_a_reset_forgets_everything(sandbox: Sandbox) -> None:
    sandbox.tuned()
    sandbox.arm("GET", "/v1/files", status=500)
    sandbox.control("reset")
    assert sandbox.http.get("/sandbox/requests").json() == {"total": 0, "requests": {}}
    assert sandbox.openai.files.list().data == []
    assert sandbox.openai.fine_tuning.jobs.list().data == []
    assert not [model for model in sandbox.openai.models.list() if model.id.startswith("ft:")]
