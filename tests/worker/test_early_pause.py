"""A pause of a job that the provider has queued: kept until the job runs."""

from typing import Any

from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus
from tests.worker.support import calls, running_job
from tests.world import Person, Sandbox, row, work, work_until_created

JOBS = "/v1/fine_tuning/jobs"


def paused_while_queued(alice: Person, sandbox: Sandbox) -> tuple[str, str]:
    """A job that is queued at the provider, which has refused a pause; its id here and there."""
    job_id = alice.create_job()
    theirs = work_until_created(job_id)
    sandbox.move(theirs, status="queued")
    work()
    assert alice.openai.fine_tuning.jobs.pause(job_id).status == "queued"
    work(4)
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/pause") == 1
    return job_id, theirs


def shown(alice: Person, job_id: str) -> dict[str, Any]:
    found = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    return {name: found[name] for name in ("status", "request", "request_error")}


def test_a_pause_of_a_job_that_is_queued_at_the_provider_is_kept_until_it_runs(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = paused_while_queued(alice, sandbox)
    assert shown(alice, job_id) == {"status": "queued", "request": "pause", "request_error": None}
    assert row(Job, job_id).due_at > utc_now()
    sandbox.move(theirs, status="running")
    work(3)
    assert shown(alice, job_id) == {"status": "paused", "request": None, "request_error": None}


def test_a_job_that_ends_before_it_could_be_paused_says_so(alice: Person, sandbox: Sandbox) -> None:
    job_id, theirs = paused_while_queued(alice, sandbox)
    sandbox.move(theirs, status="succeeded")
    work(2)
    message = "The job ended before the provider could pause it"
    error = {"code": "invalid_job_status", "message": message, "param": None}
    assert shown(alice, job_id) == {"status": "succeeded", "request": None, "request_error": error}


def test_a_refused_pause_stands_on_the_job_until_the_next_request(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = running_job(alice, sandbox)
    alice.openai.fine_tuning.jobs.pause(job_id)
    sandbox.arm("POST", f"{JOBS}/*/pause", status=400, body={"error": {"message": "No.", "code": "never"}})
    work(2)
    error = {"code": "never", "message": "The provider refused to pause the job: No.", "param": None}
    assert shown(alice, job_id) == {"status": "running", "request": None, "request_error": error}
    asked_again = alice.http.post(f"/fine_tuning/jobs/{job_id}/pause").json()
    assert (asked_again["request"], asked_again["request_error"]) == ("pause", None)


def test_a_kept_pause_gives_way_to_a_cancel(alice: Person, sandbox: Sandbox) -> None:
    job_id, _ = paused_while_queued(alice, sandbox)
    alice.openai.fine_tuning.jobs.cancel(job_id)
    work(2)
    assert row(Job, job_id).status is JobStatus.CANCELLED
    assert shown(alice, job_id)["request_error"] is None
