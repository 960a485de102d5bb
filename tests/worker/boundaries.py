"""Every boundary at which a worker can die: how a job comes there, and whether it ends as it would have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile
from shared.jobs.models import Job, JobEvent, JobQueue, TunedModel
from shared.webhooks.models import WebhookDelivery, WebhookEvent
from tests.servers import Receiver
from tests.worker.crashing import Crashes
from tests.worker.levers import let_the_grace_pass, ready_job
from tests.world import Person, Sandbox, row, step, work

JOBS = "/v1/fine_tuning/jobs"
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
"""By step: the points at which it is cut off, as `tests.worker.dying` names them."""


@dataclass(frozen=True)
class World:
    """Whoever plays a part: a person, the provider, somebody who is told, and workers that die."""

    person: Person
    sandbox: Sandbox
    receiver: Receiver
    crashes: Crashes

    def job_at_provider(self, job_id: str) -> Any:
        """The one job there; fails if there is none, or another."""
        (found,) = [job for job in self.sandbox.jobs() if (job.metadata or {}).get("tunery_job") == job_id]
        return found

    def files_at_provider(self, dataset_id: str) -> list[str]:
        return [file.id for file in self.sandbox.files() if file.filename.startswith(dataset_id)]


Stop = tuple[str, type[Any], str]
"""A job, and the row that has its turn."""


def _copies_of(dataset_id: str) -> list[str]:
    with transaction() as session:
        return list(session.exec(select(ProviderFile.id).where(ProviderFile.dataset_id == dataset_id)))


def _checked(world: World) -> Stop:
    job_id = world.person.create_job()
    return job_id, Dataset, row(Job, job_id).training_file


def _uploaded(world: World) -> Stop:
    job_id, _, dataset_id = _checked(world)
    step(Dataset, dataset_id)
    step(Job, job_id)
    return job_id, ProviderFile, _copies_of(dataset_id)[0]


def _admitted(world: World) -> Stop:
    job_id = ready_job(world.person)
    step(Job, job_id)
    return job_id, JobQueue, row(Job, job_id).queue_id


def _created(world: World) -> Stop:
    job_id, _, queue_id = _admitted(world)
    step(JobQueue, queue_id)
    assert row(Job, job_id).place == "held"
    return job_id, Job, job_id


def _running(world: World) -> tuple[str, str]:
    """A job that trains, as we know, and stays at it; its id here and at the provider."""
    job_id, _, _ = _created(world)
    step(Job, job_id)
    theirs = row(Job, job_id).provider_job_id
    world.sandbox.move(theirs, status="running")
    step(Job, job_id)
    return job_id, theirs


def _found(world: World) -> Stop:
    job_id, _, _ = _created(world)
    world.sandbox.arm("POST", JOBS, drop="after")
    step(Job, job_id)
    let_the_grace_pass(job_id)
    return job_id, Job, job_id


def _polled(world: World) -> Stop:
    job_id, theirs = _running(world)
    world.sandbox.move(theirs, step=3)
    return job_id, Job, job_id


def _finished(world: World) -> Stop:
    job_id, theirs = _running(world)
    world.sandbox.move(theirs, status="succeeded")
    return job_id, Job, job_id


def _ask(world: World, job_id: str, request: str) -> None:
    """Not with the SDK, whose strict mode does not know `paused`."""
    world.person.http.post(f"/fine_tuning/jobs/{job_id}/{request}").raise_for_status()


def _asked_to(request: str) -> Callable[[World], Stop]:
    def begin(world: World) -> Stop:
        job_id, _ = _running(world)
        asked = ["pause", "resume"] if request == "resume" else [request]
        for each in asked:
            _ask(world, job_id, each)
            if each != request:
                step(Job, job_id)
                step(Job, job_id)
        return job_id, Job, job_id

    return begin


def _told(world: World) -> Stop:
    job_id = world.person.create_job()
    _ask(world, job_id, "cancel")
    with transaction() as session:
        of_it = select(WebhookDelivery.id).join(WebhookEvent).where(WebhookEvent.object_id == job_id)
        return job_id, WebhookDelivery, session.exec(of_it.order_by(col(WebhookDelivery.id).desc())).first() or ""


def _model_deleted(world: World) -> Stop:
    job_id, _, _ = _finished(world)
    step(Job, job_id)
    name = row(Job, job_id).fine_tuned_model
    world.person.openai.models.delete(name)
    with transaction() as session:
        return job_id, TunedModel, session.exec(select(TunedModel.id).where(TunedModel.job_id == job_id)).one()


def _file_deleted(world: World) -> Stop:
    job_id, _, _ = _finished(world)
    step(Job, job_id)
    dataset_id = row(Job, job_id).training_file
    world.person.openai.files.delete(dataset_id)
    return job_id, Dataset, dataset_id


BEGIN: dict[str, Callable[[World], Stop]] = {
    "check": _checked,
    "upload": _uploaded,
    "admit": _admitted,
    "create": _created,
    "find": _found,
    "poll": _polled,
    "finish": _finished,
    "cancel": _asked_to("cancel"),
    "pause": _asked_to("pause"),
    "resume": _asked_to("resume"),
    "deliver": _told,
    "delete model": _model_deleted,
    "delete file": _file_deleted,
}


def crash_and_go_on(world: World, what: str, point: str) -> str:
    """A job whose worker is killed there, and what other workers make of it; its id.

    Raises `AssertionError` if it does not end as it would have.
    """
    job_id, model, id = BEGIN[what](world)
    world.crashes.crash(model, id, point)
    step(model, id)  # as when the lease has run out
    if what == "pause":
        _go_on_until(job_id, lambda job: job.status == "paused")
        _ask(world, job_id, "resume")
    if what not in {"cancel", "deliver"}:
        _go_on_until(job_id, lambda job: job.provider_job_id and not job.request)
        _let_succeed(world, job_id)
    _go_on_until(job_id, lambda job: job.status.is_final)
    assert row(Job, job_id).status == ("cancelled" if what in {"cancel", "deliver"} else "succeeded")
    if what != "deliver":
        _check_provider(world, what, job_id)
    return job_id


def _let_succeed(world: World, job_id: str) -> None:
    theirs = world.job_at_provider(job_id)
    if theirs.status != "succeeded":
        world.sandbox.move(theirs.id, status="succeeded")


def _go_on_until(job_id: str, is_there: Callable[[Job], Any]) -> None:
    """Steps of the job and of what it waits for, as long as it takes; a grace passes at once."""
    for _ in range(8):
        job = row(Job, job_id)
        if is_there(job):
            return
        if job.create_pending_at is not None:
            let_the_grace_pass(job_id)
        step(Dataset, job.training_file)
        for copy_id in _copies_of(job.training_file):
            step(ProviderFile, copy_id)
        if job.queue_id is not None:
            step(JobQueue, job.queue_id)
        step(Job, job_id)
    raise AssertionError(f"{job_id} does not come to its end: {row(Job, job_id)}")


def _check_provider(world: World, what: str, job_id: str) -> None:
    """One job and one file there, and each of its events here once."""
    theirs = world.job_at_provider(job_id)
    copies = world.files_at_provider(row(Job, job_id).training_file)
    assert len(copies) == (0 if what == "delete file" else 1)
    if what == "delete model":
        assert theirs.fine_tuned_model not in {model.id for model in world.sandbox.openai.models.list()}
    events = list(world.sandbox.openai.fine_tuning.jobs.list_events(theirs.id, limit=100))
    with transaction() as session:
        ours = session.exec(select(JobEvent.provider_event_id).where(JobEvent.job_id == job_id)).all()
    assert sorted(filter(None, ours)) == sorted(event.id for event in events)


def check_webhooks(world: World, job_ids: list[str]) -> None:
    """All that happened to these jobs has come, each event under one `webhook-id`; each end is told once."""
    work(2)
    came: dict[str, set[str]] = {}
    for (headers, _), told in zip(world.receiver.received, world.receiver.events, strict=True):
        came.setdefault(told["id"], set()).add(headers["webhook-id"])
    with transaction() as session:
        its = select(WebhookEvent).where(col(WebhookEvent.object_id).in_(job_ids))
        events = session.exec(its).all()
    assert {event.id: len(came.get(event.id, ())) for event in events} == {event.id: 1 for event in events}
    ends = [event.object_id for event in events if event.type.rpartition(".")[2] in {"succeeded", "cancelled"}]
    assert sorted(ends) == sorted(job_ids)
