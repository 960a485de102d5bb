"""Brings a job to each of its steps, so that a worker can be killed there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from shared.database import transaction
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus, ProviderFile, Purpose
from shared.jobs.models import Job, TunedModel
from shared.jobs.queue.models import JobQueue
from shared.projects import service as projects
from shared.providers.capabilities import CAPABILITIES
from shared.providers.dialects import Dialect
from shared.settings import get_settings
from shared.webhooks.models import WebhookDelivery, WebhookEvent
from tests.servers import Receiver
from tests.worker.crashes import Crashes
from tests.worker.support import pass_create_grace, ready_job
from tests.world import Person, Sandbox, lines, row, step

LARGE = CAPABILITIES[Dialect.OPENAI].max_whole_file_bytes + 1


@dataclass(frozen=True)
class World:
    """A person, the sandbox, a webhook receiver, and the program whose workers are killed.

    `keeps_events`: the provider still shows those that it told earlier.
    """

    person: Person
    sandbox: Sandbox
    receiver: Receiver
    crashes: Crashes
    model: str = "gpt-4o-mini"
    jobs: str = "/v1/fine_tuning/jobs"
    keeps_events: bool = True

    def wanted(self) -> dict[str, Any]:
        """What a job of this world is created with."""
        return {"model": self.model}

    def job_at_provider(self, job_id: str) -> Any:
        """The job's only copy at the provider; fails if there is none or more than one."""
        (found,) = [job for job in self.sandbox.jobs() if (job.metadata or {}).get("tunery_job") == job_id]
        return found

    def files_at_provider(self, dataset_id: str) -> list[str]:
        return [file.id for file in self.sandbox.files() if file.filename.startswith(dataset_id)]

    def models_at_provider(self) -> set[str]:
        return {model.id for model in self.sandbox.openai.models.list()}

    def events_at_provider(self, provider_job_id: str) -> list[str]:
        events = self.sandbox.openai.fine_tuning.jobs.list_events(provider_job_id, limit=100)
        return [event.id for event in events]


Stop = tuple[str, type[Any], str]
"""The id of a job, then the table and the id of the row whose step is next."""


def copies_of(dataset_id: str) -> list[str]:
    with transaction() as session:
        return list(session.exec(select(ProviderFile.id).where(ProviderFile.dataset_id == dataset_id)))


def _checked(world: World) -> Stop:
    job_id = world.person.create_job(**world.wanted())
    return job_id, Dataset, row(Job, job_id).training_file


def _uploaded(world: World) -> Stop:
    job_id, _, dataset_id = _checked(world)
    step(Dataset, dataset_id)
    step(Job, job_id)
    return job_id, ProviderFile, copies_of(dataset_id)[0]


def _admitted(world: World) -> Stop:
    job_id = ready_job(world.person, **world.wanted())
    step(Job, job_id)
    return job_id, JobQueue, row(Job, job_id).queue_id


def _created(world: World) -> Stop:
    job_id, _, queue_id = _admitted(world)
    step(JobQueue, queue_id)
    assert row(Job, job_id).slot == "held"
    return job_id, Job, job_id


def _running(world: World) -> tuple[str, str]:
    """A running job that the sandbox holds in this status; returns its id here and at the provider."""
    job_id, _, _ = _created(world)
    step(Job, job_id)
    theirs = row(Job, job_id).provider_job_id
    world.sandbox.move(theirs, status="running")
    step(Job, job_id)
    return job_id, theirs


def _found(world: World) -> Stop:
    job_id, _, _ = _created(world)
    world.sandbox.arm("POST", world.jobs, drop="after")
    step(Job, job_id)
    pass_create_grace(job_id)
    return job_id, Job, job_id


def _polled(world: World) -> Stop:
    job_id, theirs = _running(world)
    world.sandbox.move(theirs, step=3)
    return job_id, Job, job_id


def _finished(world: World) -> Stop:
    job_id, theirs = _running(world)
    world.sandbox.move(theirs, status="succeeded")
    return job_id, Job, job_id


def ask(world: World, job_id: str, request: str) -> None:
    """Request by plain HTTP: the SDK in strict mode refuses `paused`."""
    world.person.http.post(f"/fine_tuning/jobs/{job_id}/{request}").raise_for_status()


def _asked_to(request: str) -> Callable[[World], Stop]:
    def begin(world: World) -> Stop:
        job_id, _ = _running(world)
        asked = ["pause", "resume"] if request == "resume" else [request]
        for each in asked:
            ask(world, job_id, each)
            if each != request:
                step(Job, job_id)
                step(Job, job_id)
        return job_id, Job, job_id

    return begin


def _told(world: World) -> Stop:
    job_id = world.person.create_job(**world.wanted())
    ask(world, job_id, "cancel")
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


@contextmanager
def large_copy(person: Person) -> Iterator[str]:
    """A provider file to upload that is too large for one request; a sparse file."""
    beginning, end = lines(), b"\n" + lines()
    path = Path(get_settings().storage) / datasets.new_dataset_id()
    with path.open("wb") as file:
        file.write(beginning)
        file.truncate(LARGE - len(end))
        file.seek(0, 2)
        file.write(end)
    with transaction() as session:
        dataset = Dataset(
            id=path.name,
            project_id=person.project_id,
            filename="large.jsonl",
            bytes=LARGE,
            sha256=sha256(path.name.encode()).hexdigest(),
            purpose=Purpose.FINE_TUNE,
            status=DatasetStatus.PROCESSED,
        )
        session.add(dataset)
        session.flush()
        file_id = datasets.provider_file(session, dataset, projects.default_credential(session).id).id
    yield file_id
    path.unlink(missing_ok=True)
