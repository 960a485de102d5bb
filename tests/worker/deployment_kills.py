"""Kills workers while a deployment is made or ended, and checks that it is there once, and then not at all."""

from decimal import Decimal

from sqlmodel import select

from shared.budgets.models import Kind, LedgerEntry
from shared.database import transaction
from shared.deployments.models import Deployment
from shared.jobs.models import Job
from shared.webhooks.models import WebhookEvent
from tests import deployed
from tests.deployed import World, pass_grace
from tests.worker import reach_steps
from tests.world import row, step

CALL = ("in the claim", "before the call", "during the call", "after the call", "in the record", "before the message")
STOP = ("in the claim", "before the call", "during the call", "during the 2nd call", *CALL[3:])
DEPLOYING: dict[str, tuple[str, ...]] = {
    "deploy": (*CALL, "before the end"),
    "stop": ("in the claim", "before the call", "during the call", *CALL[3:]),
}
"""By step: the points at which a worker is killed, whichever the provider."""


def deploying(*more: str) -> dict[str, tuple[str, ...]]:
    """Where other calls come before the create: for the model of a job, its checkpoints, or the hardware."""
    return DEPLOYING | {"deploy": (*DEPLOYING["deploy"], *more)}


def kill_and_end(jobs: reach_steps.World, what: str, point: str) -> None:
    """A deployment of a new job's model, whose worker is killed once at this point, and its end.

    Raises `AssertionError` if it does not come to its end as it would have.
    """
    job_id, _, _ = reach_steps.BEGIN["finish"](jobs)
    step(Job, job_id)
    job = row(Job, job_id)
    world = deployed.World(jobs.person, jobs.sandbox, job.credential_id, job.fine_tuned_model)
    id = world.asked()
    if what == "deploy":
        jobs.crashes.crash(Deployment, id, point)
        assert len(world.running()) <= 1
    go_on(world, id, "ready")
    assert len(world.running()) == 1
    if what == "stop":
        world.person.http.delete(f"/deployments/{id}").raise_for_status()
        jobs.crashes.crash(Deployment, id, point)
        go_on(world, id, "stopped")
    else:
        stop(world, id)
    check(world, id)


def go_on(world: World, id: str, status: str) -> None:
    """Run its steps until it has this status, without waiting for the grace."""
    for _ in range(8):
        found = row(Deployment, id)
        if found.status == status:
            return
        if found.create_pending_at is not None:
            pass_grace(id)
        if status == "ready" and found.provider_deployment_id is not None:
            world.move(id, status="ready")
        step(Deployment, id)
    raise AssertionError(f"{id} does not become {status}: {row(Deployment, id)}")


def stop(world: World, id: str) -> None:
    world.person.http.delete(f"/deployments/{id}").raise_for_status()
    go_on(world, id, "stopped")


def check(world: World, id: str) -> None:
    """It has ended: nothing runs, each event was told once, and the ledger adds up to what it has cost."""
    assert world.running() == []
    with transaction() as session:
        told = session.exec(select(WebhookEvent.type).where(WebhookEvent.object_id == id)).all()
        entries = session.exec(select(LedgerEntry).where(LedgerEntry.deployment_id == id)).all()
    assert len(told) == len(set(told))
    assert sum((each.amount for each in entries if each.kind in {Kind.RESERVE, Kind.RELEASE}), Decimal()) == 0
    assert sum((each.amount for each in entries if each.kind is Kind.SETTLE), Decimal()) == row(Deployment, id).cost
