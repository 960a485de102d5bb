"""Helpers for tests of the watch: calls that a list costs, and the time until the next."""

from datetime import timedelta
from typing import Any

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job, Watch
from tests.worker.support import calls, change, ids, running_job
from tests.world import Person, Sandbox, row, step

JOBS = "/v1/fine_tuning/jobs"
LATER = timedelta(seconds=85)  # not so late that the watch would take it for a mistake
LIST, RETRIEVE, EVENTS = f"GET {JOBS}", f"GET {JOBS}/{{job_id}}", f"GET {JOBS}/{{job_id}}/events"


def read_list() -> None:
    step(Watch, ids(Watch)[0])


def spent(sandbox: Sandbox) -> tuple[int, int, int]:
    return calls(sandbox, LIST), calls(sandbox, RETRIEVE), calls(sandbox, EVENTS)


def since(sandbox: Sandbox, before: tuple[int, int, int]) -> tuple[int, ...]:
    """Calls since `before`: lists, retrieves, lists of events."""
    return tuple(now - then for now, then in zip(spent(sandbox), before, strict=True))


def wait_of(model: type[Any], id: str) -> timedelta:
    wait = row(model, id).due_at - utc_now()
    assert isinstance(wait, timedelta)
    return wait


def many(alice: Person, sandbox: Sandbox, count: int) -> list[str]:
    """Running jobs of which nothing was new for an hour; returns their ids."""
    job_id, theirs = running_job(alice, sandbox)
    change(Job, job_id, changed_at=utc_now() - timedelta(hours=1), due_at=utc_now() + LATER)
    known = row(Job, job_id).model_dump(exclude={"id", "provider_job_id"})
    made = [Job(**known, provider_job_id=id) for id in (sandbox.copies(theirs, count - 1) if count > 1 else [])]
    with transaction() as session:
        session.add_all(made)
    return [job_id, *(job.id for job in made)]
