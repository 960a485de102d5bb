"""Jobs that have ended, for commands that show them."""

from shared.jobs.models import Job
from tests.world import Person, Sandbox, row, work, work_until_created


def succeeded(person: Person, sandbox: Sandbox, **values: object) -> str:
    """The id of a job of this person's that has succeeded."""
    job_id = person.create_job(**values)
    sandbox.move(work_until_created(job_id), status="succeeded")
    for _ in range(5):
        work()
        if row(Job, job_id).status.is_final:
            return job_id
    raise AssertionError(f"{job_id} has not ended")
