"""A project with something of everything, for pages to show: `ids` has the ids that addresses need."""

from tests.api.training import move
from tests.dashboard.administration import endpoint, ids_of
from tests.world import Person, Sandbox, work

STEPS = 60


def ids(person: Person, sandbox: Sandbox) -> dict[str, str]:
    """Make jobs in the project. Pages that show more add it here."""
    hook = endpoint(person)
    file = person.upload()
    done = person.create_job(training_file=file, validation_file=file, suffix="support", metadata={"team": "support"})
    move(person, sandbox, done, "succeeded")
    failed = person.create_job(training_file=file, suffix="إختبار <b>bold</b> " + "long " * 8)
    move(person, sandbox, failed, "failed")
    running = person.create_job(training_file=file)
    move(person, sandbox, running, "running")
    waiting = person.create_job(training_file=file)
    work()
    jobs = {"job": done, "failed": failed, "running": running, "waiting": waiting}
    return {"file": file, **jobs, **ids_of(person, hook)}
