"""Cancel, pause and resume: asked for at any moment, passed on to the provider, decided by it."""

from typing import Any

import pytest
from openai import BadRequestError

from shared.db.times import utc_now
from shared.jobs.models import Job, JobRequest, JobStatus
from shared.jobs.queue.models import JobQueue
from shared.projects.models import Credential
from shared.webhooks.models import WebhookEvent
from tests.worker.support import calls, change, ids, pass_create_grace, ready_job, running_job, step_while
from tests.world import Person, Sandbox, row, step, work
from worker.jobs import job_step

JOBS = "/v1/fine_tuning/jobs"
CREATE = f"POST {JOBS}"


def status_there(sandbox: Sandbox, provider_job_id: str) -> str:
    return str(sandbox.openai.fine_tuning.jobs.retrieve(provider_job_id).status)


def warnings(person: Person, job_id: str) -> list[str]:
    events = person.openai.fine_tuning.jobs.list_events(job_id, limit=100)
    return [event.message for event in events if event.level == "warn"]


def test_a_job_that_waits_for_its_file_is_cancelled_at_once(alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job()
    assert alice.openai.fine_tuning.jobs.cancel(job_id).status == "cancelled"
    work(4)
    assert (sandbox.jobs(), row(Job, job_id).due_at) == ([], None)
    told = [row(WebhookEvent, id).type for id in ids(WebhookEvent) if row(WebhookEvent, id).object_id == job_id]
    assert told == ["fine_tuning.job.created", "fine_tuning.job.cancelled"]


def test_a_running_job_is_cancelled_at_the_provider_and_then_here(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    assert alice.openai.fine_tuning.jobs.cancel(job_id).status == "running"
    step(Job, job_id)
    assert status_there(sandbox, theirs) == "cancelled"
    step(Job, job_id)
    job = alice.openai.fine_tuning.jobs.retrieve(job_id)
    assert (job.status, row(Job, job_id).due_at, row(Job, job_id).request) == ("cancelled", None, None)


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_job_that_may_or_may_not_have_been_created_is_cancelled_for_certain(
    alice: Person, sandbox: Sandbox, drop: str
) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, drop=drop)
    step(Job, job_id)
    assert alice.openai.fine_tuning.jobs.cancel(job_id).status == "validating_files"
    pass_create_grace(job_id)
    for _ in range(3):
        step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert [job.status for job in sandbox.jobs()] == (["cancelled"] if drop == "after" else [])
    assert calls(sandbox, CREATE) == 1


def test_a_cancel_during_the_create_is_told_as_soon_as_the_job_has_an_id(alice: Person, sandbox: Sandbox) -> None:
    job_id = ready_job(alice)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.VALIDATING_FILES, JobRequest.CANCEL)
    work(2)
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert [job.status for job in sandbox.jobs()] == ["cancelled"]


FULL = {"error": {"message": "You have reached your limit", "code": "daily_rate_limit_exceeded"}}


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"status": 400}, "failed"), ({"status": 429}, "cancelled"), ({"status": 429, "body": FULL}, "cancelled")],
    ids=str,
)
def test_a_cancel_during_a_create_that_is_refused_ends_the_job_at_once(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any], status: str
) -> None:
    job_id = ready_job(alice)
    sandbox.arm("POST", JOBS, **fault)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    job = row(Job, job_id)
    assert (job.status, job.request, job.slot, job.due_at) == (status, None, None, None)
    assert (sandbox.jobs(), calls(sandbox, CREATE)) == ([], 1)


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 429, "body": FULL}, {"drop": "before"}], ids=str)
def test_a_pause_during_a_create_that_had_no_effect_holds_until_the_resume_and_not_after(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id = ready_job(alice)
    change(Job, job_id, status=JobStatus.QUEUED)
    sandbox.arm("POST", JOBS, **fault)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.pause(job_id))
    if row(Job, job_id).create_pending_at is not None:
        pass_create_grace(job_id)
        step(Job, job_id)
        step(Job, job_id)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.PAUSED, None)
    alice.http.post(f"/fine_tuning/jobs/{job_id}/resume").raise_for_status()
    for queue_id in ids(JobQueue):
        change(JobQueue, queue_id, provider_limit=None, provider_limit_until=None)
        step(JobQueue, queue_id)
    change(Credential, row(Job, job_id).credential_id, paused_until=None)
    work(2)
    assert len(sandbox.jobs()) == 1
    assert (row(Job, job_id).provider_job_id, row(Job, job_id).request) == (sandbox.jobs()[0].id, None)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/pause") == 0


@pytest.mark.parametrize("status", [404, 405, 409, 501])
def test_a_provider_that_never_pauses_says_so_and_the_job_goes_on(alice: Person, sandbox: Sandbox, status: int) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.arm("POST", f"{JOBS}/*/pause", times=50, status=status)
    change(Job, job_id, retries=50)
    alice.openai.fine_tuning.jobs.pause(job_id)
    work(10)
    assert (row(Job, job_id).request, row(Job, job_id).retries) == (None, 0)
    assert "The provider refused to pause the job" in warnings(alice, job_id)[0]
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_a_job_that_ends_while_its_cancel_cannot_be_told_is_seen_to_end(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.arm("POST", f"{JOBS}/*/cancel", times=50, status=500)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    work(5)
    assert row(Job, job_id).request is JobRequest.CANCEL
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/cancel") == 3
    assert row(Job, job_id).retries == 5  # its waits grow, though the looks between them succeed
    sandbox.move(theirs, status="succeeded")
    work(2)
    job = row(Job, job_id)
    assert (job.status, job.request, job.slot, job.due_at) == (JobStatus.SUCCEEDED, None, None, None)


def test_a_cancel_during_a_look_is_told_next(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    assert status_there(sandbox, theirs) == "running"
    assert row(Job, job_id).due_at <= utc_now()
    work(2)
    assert row(Job, job_id).status is JobStatus.CANCELLED


def test_a_cancel_that_comes_after_the_provider_has_finished_leaves_a_success(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    alice.openai.fine_tuning.jobs.cancel(job_id)
    work(2)
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).status == "succeeded"
    assert warnings(alice, job_id) == [
        f"The provider refused to cancel the job: The job {job_id} has already succeeded and cannot be cancelled."
    ]


def test_a_job_that_ends_while_a_cancel_is_asked_for_has_nothing_left_to_do(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    job = row(Job, job_id)
    assert (job.status, job.request, job.due_at) == (JobStatus.SUCCEEDED, None, None)


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": "before"}, {"drop": "after"}, {"status": 401}], ids=str)
def test_a_cancel_of_which_the_provider_did_not_hear_is_asked_again(
    alice: Person, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    job_id, _ = running_job(alice, sandbox)
    sandbox.arm("POST", f"{JOBS}/*/cancel", **fault)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    step(Job, job_id)
    assert row(Job, job_id).request is JobRequest.CANCEL
    work(3)
    assert row(Job, job_id).status is JobStatus.CANCELLED


def test_a_job_is_paused_and_goes_on_where_it_was(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, step=2)
    alice.openai.fine_tuning.jobs.pause(job_id)
    work(2)
    assert row(Job, job_id).status is JobStatus.PAUSED
    assert alice.openai.fine_tuning.jobs.checkpoints.list(job_id).data[0].step_number == 2
    alice.http.post(f"/fine_tuning/jobs/{job_id}/resume").raise_for_status()
    work(2)
    assert (row(Job, job_id).status, status_there(sandbox, theirs)) == (JobStatus.QUEUED, "queued")
    sandbox.move(theirs, status="succeeded")
    step(Job, job_id)
    assert row(Job, job_id).status is JobStatus.SUCCEEDED


def test_a_paused_job_is_cancelled(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    sandbox.move(theirs, status="paused")
    step(Job, job_id)
    alice.http.post(f"/fine_tuning/jobs/{job_id}/cancel").raise_for_status()
    work(2)
    assert (row(Job, job_id).status, status_there(sandbox, theirs)) == (JobStatus.CANCELLED, "cancelled")


def test_what_the_provider_will_not_do_is_told_and_the_job_goes_on(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    sandbox.arm("POST", f"{JOBS}/*/pause", status=400, body={"error": {"message": f"No pause for {theirs}."}})
    work(2)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.RUNNING, None)
    assert warnings(alice, job_id) == [f"The provider refused to pause the job: No pause for {job_id}."]


def test_a_cancel_replaces_a_pause_of_which_the_provider_has_not_heard(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    alice.openai.fine_tuning.jobs.pause(job_id)  # too late to change one's mind
    work(2)
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/pause") == 0


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_cancel_during_a_pause_is_not_lost_however_the_pause_ends(
    alice: Person, sandbox: Sandbox, status: int
) -> None:
    job_id, _ = running_job(alice, sandbox)
    if status != 200:
        sandbox.arm("POST", f"{JOBS}/*/pause", status=status)
    alice.openai.fine_tuning.jobs.pause(job_id)
    step_while(job_step.advance, job_id, lambda: alice.openai.fine_tuning.jobs.cancel(job_id))
    assert row(Job, job_id).request is JobRequest.CANCEL
    work(3)
    assert row(Job, job_id).status is JobStatus.CANCELLED


@pytest.mark.parametrize("verb", ["cancel", "pause", "resume"])
def test_nothing_can_be_asked_of_a_job_that_has_ended(alice: Person, sandbox: Sandbox, verb: str) -> None:
    job_id = alice.create_job()
    alice.openai.fine_tuning.jobs.cancel(job_id)
    with pytest.raises(BadRequestError) as refused:
        getattr(alice.openai.fine_tuning.jobs, verb)(job_id)
    assert refused.value.code == "invalid_job_status"
