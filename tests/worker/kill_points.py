"""Kills workers at every point of every step, and checks that the job ends as it would have."""

from collections.abc import Callable
from typing import Any

from sqlmodel import col, select

from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile
from shared.jobs.models import Job, JobEvent
from shared.jobs.queue.models import JobQueue
from shared.webhooks.models import WebhookDelivery, WebhookEvent
from tests.worker.reach_steps import BEGIN, World, ask, copies_of, large_copy
from tests.worker.support import ids, pass_create_grace
from tests.world import row, step

CALL = ("before the call", "during the call", "after the call", "in the record", "before the message")
BOUNDARIES: dict[str, tuple[str, ...]] = {
    "check": ("before the call", "in the record", "before the message"),
    "upload": ("in the claim", *CALL, "before the end"),
    "admit": ("in the claim", "before the call"),
    "create": ("in the claim", *CALL, "before the end"),
    "find": CALL,
    "poll": ("before the call", "during the call", "during the 2nd call", *CALL[2:]),
    "finish": ("during the 2nd call", "during the 3rd call", "during the 4th call", *CALL[2:]),
    "cancel": CALL,
    "pause": CALL,
    "resume": CALL,
    "deliver": ("before the call", *CALL[2:]),
    "delete model": CALL,
    "delete file": CALL,
}
"""By step: the points at which a worker is killed, as `tests.worker.crashes` names them."""


def kill_and_go_on(world: World, what: str, *points: str) -> str:
    """A job whose worker is killed at this step, another one at the next point, and what the last makes of it; its id.

    Raises `AssertionError` if it does not end as it would have.
    """
    job_id, model, id = BEGIN[what](world)
    for point in points:
        world.crashes.crash(model, id, point)
    step(model, id)  # as when the lease has run out
    if what == "pause":
        _go_on_until(job_id, lambda job: job.status == "paused")
        ask(world, job_id, "resume")
    if what not in {"cancel", "deliver"}:
        _go_on_until(job_id, lambda job: job.provider_job_id and not job.request)
        let_succeed(world, job_id)
    _go_on_until(job_id, lambda job: job.status.is_final)
    assert row(Job, job_id).status == ("cancelled" if what in {"cancel", "deliver"} else "succeeded")
    if what != "deliver":
        check_provider(world, job_id, what)
    return job_id


def let_succeed(world: World, job_id: str) -> None:
    theirs = world.job_at_provider(job_id)
    if theirs.status != "succeeded":
        world.sandbox.move(theirs.id, status="succeeded")


def _go_on_until(job_id: str, is_there: Callable[[Job], Any]) -> None:
    """Run the steps of the job and of the rows it waits for, without waiting for `create_grace`."""
    for _ in range(8):
        job = row(Job, job_id)
        if is_there(job):
            return
        if job.create_pending_at is not None:
            pass_create_grace(job_id)
        if row(Dataset, job.training_file).status == "uploaded":
            step(Dataset, job.training_file)
        for copy_id in copies_of(job.training_file):
            step(ProviderFile, copy_id)
        if job.queue_id is not None:
            step(JobQueue, job.queue_id)
        step(Job, job_id)
    raise AssertionError(f"{job_id} does not come to its end: {row(Job, job_id)}")


def check_provider(world: World, job_id: str, what: str = "") -> None:
    """The provider has one job and one file, and each of its events is here once."""
    theirs = world.job_at_provider(job_id)
    copies = world.files_at_provider(row(Job, job_id).training_file)
    assert len(copies) == (0 if what == "delete file" else 1)
    if what == "delete model":
        assert theirs.fine_tuned_model not in world.models_at_provider()
    with transaction() as session:
        ours = session.exec(select(JobEvent.provider_event_id).where(JobEvent.job_id == job_id)).all()
    told = world.events_at_provider(theirs.id)
    passed = set[str]() if world.keeps_events else set(filter(None, ours)) - set(told)
    assert sorted(filter(None, ours)) == sorted([*told, *passed])


def check_webhooks(world: World, job_ids: list[str]) -> None:
    """Every event of these jobs was delivered under one `webhook-id`, and each end once."""
    for delivery_id in ids(WebhookDelivery):
        step(WebhookDelivery, delivery_id)
    came: dict[str, set[str]] = {}
    for (headers, _), told in zip(world.receiver.received, world.receiver.events, strict=True):
        came.setdefault(told["id"], set()).add(headers["webhook-id"])
    with transaction() as session:
        its = select(WebhookEvent).where(col(WebhookEvent.object_id).in_(job_ids))
        events = session.exec(its).all()
    assert {event.id: len(came.get(event.id, ())) for event in events} == {event.id: 1 for event in events}
    ends = [event.object_id for event in events if event.type.rpartition(".")[2] in {"succeeded", "cancelled"}]
    assert sorted(ends) == sorted(job_ids)


SENDING: tuple[tuple[str, ...], ...] = (
    ("before the call", "during the call", "in the record"),  # of the upload
    ("before the call", "during the call"),  # of its first part
    (),
    (),
    (),
    ("before the call", "in the record"),  # of its completion
)
"""The steps of a large file, and the points of each at which workers are killed."""


def kill_while_sending(world: World) -> None:
    """Upload a large file with workers killed at each of `SENDING`. Fails unless the provider has it once."""
    with large_copy(world.person) as copy_id:
        for points in SENDING:
            for point in points:
                world.crashes.crash(ProviderFile, copy_id, point)
            step(ProviderFile, copy_id)
        for _ in range(2):  # what was completed already is refused to be completed again, and found
            step(ProviderFile, copy_id)
        copy = row(ProviderFile, copy_id)
        assert world.files_at_provider(copy.dataset_id) == [copy.provider_file_id]
