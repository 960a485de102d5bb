"""A pause of a job that the provider has queued: kept until the job runs."""

from shared.db.times import utc_now
from shared.jobs.models import Job, JobStatus
from tests.worker.levers import calls
from tests.world import Person, Sandbox, row, work, work_until_created

JOBS = "/v1/fine_tuning/jobs"


def test_a_pause_of_a_job_that_is_queued_at_the_provider_is_kept_until_it_runs(alice: Person, sandbox: Sandbox) -> None:
    job_id = alice.create_job()
    theirs = work_until_created(job_id)
    sandbox.move(theirs, status="queued")
    work()
    assert alice.openai.fine_tuning.jobs.pause(job_id).status == "queued"
    work(4)
    job = row(Job, job_id)
    assert (job.status, job.request, job.retries) == ("queued", "pause", 0)
    assert job.due_at > utc_now()
    assert calls(sandbox, f"POST {JOBS}/{{job_id}}/pause") == 1
    sandbox.move(theirs, status="running")
    work(3)
    assert (row(Job, job_id).status, row(Job, job_id).request) == (JobStatus.PAUSED, None)
