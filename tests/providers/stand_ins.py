"""The providers that the conformance suite runs for, and how trouble is made on each one's wire."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from shared.providers.capabilities import CAPABILITIES
from shared.providers.dialects import Dialect
from tests.providers import fireworks_wire, openai_wires, together_wire
from tests.providers.refusals import OPENAI_REFUSALS, Refused
from tests.world import Sandbox, lines
from worker.providers.deploying import DeployingProvider
from worker.providers.protocol import Mark, NewFile, NewJob, Provider, ProviderFile, ProviderJob
from worker.providers.registry import PROVIDERS

TIMEOUT, SHORT_TIMEOUT = timedelta(seconds=30), timedelta(seconds=1)
EXPIRY = timedelta(hours=1)
LONG_AGO = utc_now() - timedelta(days=1)
MODEL = "gpt-4o-mini-2024-07-18"
DEPLOYMENT_CALLS = {name for name in vars(DeployingProvider) if not name.startswith("_")}


@dataclass(frozen=True)
class StandIn:
    """One provider. `calls`: by the name of a method of `Provider`, the HTTP call that it makes.

    `page(items)` is a page that says there are more, `item(number)` an object in it, and `max_pages` the constant that
    bounds a list. `odd_jobs` are fields that a job may come with and that must not be believed; `status_field(word)`
    gives a job that status. `wire` is what the sandbox speaks, `base` the path of the account's address there.
    `lacks`: methods that the provider does not have, and why.

    `model` can be tuned. `first_status` is that of a job that was just created. `marks_all`: a job carries all three
    ids of a `Mark`, else only ours. `files_expire`: a file can be asked to delete itself. `step_interval`: of a job of
    240 steps, how many lie between two events that say a step. `id_field` has what an object is known by. `models` is a
    list of base models, `found(job)` what a search for a job is answered with, `listed` the field of a list of jobs
    that holds them. `failed(error)` and `succeeded(model)` are fields of a job that has ended so; `error_names`: what
    it says of its error. `attributes`: where a field of an odd job has another name than here. `refusals`: faults of a
    create, each with what must come of it. `unsaid`: what it does not say of a job or a file, and why. `unlisted`:
    methods that read no list of pages there, and why. `wordless`: methods whose answer may be an empty object.
    `creates_once`: a job's id is made of ours, so that a second create finds the first. `is_paged`: its lists. Its
    `events_have_ids`. `repeats_events`: those that were seen come again, since others may come between
    them. `lists_others`: base models that cannot be tuned. `is_marked`: a job carries our id, else it is known by its
    training file. `switches`: those of the stand-in for these tests. `options`: of the account.

    One that `deploys` also has the calls of `DEPLOYMENT_CALLS`, and gives
    `odd_deployments`: answers to `list_deployments` that are no list of deployments with ids.
    """

    name: str
    dialect: Dialect
    calls: Mapping[str, tuple[str, str]]
    page: Callable[[list[dict[str, Any]]], dict[str, Any]]
    item: Callable[[int], dict[str, Any]]
    odd_jobs: Sequence[dict[str, Any]]
    status_field: Callable[[str], dict[str, Any]]
    max_pages: str
    wire: str = "openai"
    base: str = "/v1"
    lacks: Mapping[str, str] = field(default_factory=dict)
    model: str = MODEL
    first_status: JobStatus = JobStatus.VALIDATING_FILES
    marks_all: bool = True
    files_expire: bool = True
    step_interval: int = 1
    is_marked: bool = True
    switches: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[tuple[str, str], ...] = ()
    odd_deployments: Sequence[Any] = ()
    id_field: str = "id"
    models: Callable[[list[dict[str, Any]]], Any] = lambda models: {"object": "list", "data": models}
    found: Callable[[dict[str, Any]], Any] = lambda job: {"object": "list", "data": [job], "has_more": True}
    listed: str = "data"
    failed: Callable[[dict[str, Any]], dict[str, Any]] = lambda error: {"error": error}
    succeeded: Callable[[str], dict[str, Any]] = lambda model: {"fine_tuned_model": model}
    error_names: Sequence[str] = ("code", "message", "param")
    attributes: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, Refused] = field(default_factory=lambda: OPENAI_REFUSALS)
    unsaid: Mapping[str, str] = field(default_factory=dict)
    unlisted: Mapping[str, str] = field(default_factory=dict)
    wordless: frozenset[str] = frozenset()
    creates_once: bool = False
    repeats_events: bool = False
    is_paged: bool = True
    events_have_ids: bool = True
    lists_others: bool = True

    @property
    def deploys(self) -> bool:
        return bool(self.options) or CAPABILITIES[self.dialect].needs_deployment


@cache
def client(
    dialect: Dialect, base_url: str, timeout: timedelta = TIMEOUT, options: tuple[tuple[str, str], ...] = ()
) -> Provider:
    """A client of the deployment's account at this address, kept as the worker keeps it; the settings hold its key."""
    entry = PROVIDERS[dialect]
    return entry.client(Account(None, None, base_url, dialect, 0, None, options), timeout, entry.statuses)


def logins_at(sandbox: Sandbox) -> dict[str, str]:
    """Settings by which Azure's applications log in at the stand-in, and deploy there."""
    return {"TUNERY_AZURE__LOGIN_URL": sandbox.address, "TUNERY_AZURE__MANAGEMENT_URL": sandbox.address}


def new_file(name: str, content: bytes) -> NewFile:
    return NewFile(name, BytesIO(content), len(content), sha256(content).hexdigest(), content.count(b"\n"))


@contextmanager
def far_of(dialect: Dialect, speaking: Callable[[str], Sandbox]) -> Iterator["Far"]:
    """The provider of this dialect, whose stand-in holds nothing yet."""
    stand_in = next(each for each in STAND_INS if each.dialect is dialect)
    sandbox = speaking(stand_in.wire)
    sandbox.reset()
    yield Far(stand_in, sandbox)
    sandbox.disarm()


class Far:
    """The provider's client, and the controls of its stand-in."""

    def __init__(self, stand_in: StandIn, sandbox: Sandbox) -> None:
        self.stand_in, self.sandbox = stand_in, sandbox
        self.sent: dict[str, str] = {}
        self._has_delay = False

    @property
    def provider(self) -> Provider:
        """Impatient until the call has come that is to be delayed: a busy machine is late with others, too."""
        self._has_delay = self._has_delay and bool(self.sandbox.http.get("/sandbox/faults").json()["data"])
        return self._client(SHORT_TIMEOUT if self._has_delay else TIMEOUT)

    def _client(self, timeout: timedelta) -> Provider:
        address = f"{self.sandbox.address}{self.stand_in.base}"
        return client(self.stand_in.dialect, address, timeout, self.stand_in.options)

    def needs(self, *methods: str) -> None:
        """Skip the test if the provider has no such method, and say why."""
        for method in methods:
            if method in self.stand_in.lacks:
                pytest.skip(f"{self.stand_in.name} has no {method}: {self.stand_in.lacks[method]}")

    def needs_list(self, method: str) -> None:
        """Skip the test if this method reads no list of pages there, and say why."""
        self.needs(method)
        if method in self.stand_in.unlisted:
            pytest.skip(f"{method} of {self.stand_in.name} reads no list: {self.stand_in.unlisted[method]}")

    def says(self, name: str, value: Any) -> Any:
        """The value, or None where the provider does not say it."""
        return None if name in self.stand_in.unsaid else value

    def raw_jobs(self) -> list[dict[str, Any]]:
        """The jobs as the provider lists them."""
        _, path = self.stand_in.calls["list_jobs"]
        answer = self.sandbox.http.get(path.format(account="sandbox")).raise_for_status().json()
        found: list[dict[str, Any]] = answer[self.stand_in.listed]
        return found

    def fault(self, method: str, **fault: Any) -> None:
        """Let the next call that this method makes go wrong. If it is a delay, its answer is not waited for."""
        self._has_delay = "delay" in fault or "delay_after" in fault
        self.sandbox.arm(*self.stand_in.calls[method], **fault)

    def answer(self, method: str, body: Any, **fault: Any) -> None:
        """Let the next call be answered with this JSON, and 200."""
        headers = {"content-type": "application/json"}
        self.fault(method, status=200, body=json.dumps(body), headers=headers, **fault)

    def file(self, content: bytes | None = None, name: str = "file-a.jsonl") -> ProviderFile:
        return self.provider.create_file(new_file(name, content or lines()), EXPIRY)

    def new_job(self, job_id: str = "ftjob-ours", **values: Any) -> NewJob:
        given: dict[str, Any] = {"model": self.stand_in.model, "seed": 7, **values}
        given.setdefault("training_file", None)
        given["training_file"] = given["training_file"] or self.file().id
        self.sent[job_id] = given["training_file"]
        left_out: dict[str, Any] = dict.fromkeys(("validation_file", "suffix", "method", "integrations"))
        return NewJob(mark=Mark(job_id, "proj_ours", "org-ours"), **{**left_out, **given})

    def job(self, job_id: str = "ftjob-ours", **values: Any) -> ProviderJob:
        return self.provider.create_job(self.new_job(job_id, **values))

    def find_jobs(self, job_id: str, since: datetime = LONG_AGO) -> list[ProviderJob]:
        """Those of the file with which our job was last created."""
        return self.provider.find_jobs(job_id, since, self.sent.get(job_id, "file-none"))

    def mark(self, job_id: str) -> Mark | None:
        """What a job that was created for ours carries."""
        if not self.stand_in.is_marked:
            return None
        sent = self.new_job(job_id, training_file="file-any").mark
        return sent if self.stand_in.marks_all else Mark(job_id, None, None)

    def running_job(self, **values: Any) -> ProviderJob:
        job = self.job(**values)
        self.sandbox.move(job.id, status="running")
        return job


STAND_INS = [
    StandIn(dialect=Dialect.OPENAI, **openai_wires.fields("openai")),
    StandIn(dialect=Dialect.AZURE, **openai_wires.AZURE),
    StandIn(dialect=Dialect.AZURE, **openai_wires.AZURE_PROJECT),
    StandIn(dialect=Dialect.AZURE, **openai_wires.AZURE_APPLICATION),
    StandIn(dialect=Dialect.NEBIUS, **openai_wires.NEBIUS),
    StandIn(dialect=Dialect.MANTLE, **openai_wires.MANTLE),
    StandIn(
        dialect=Dialect.TRAINER, **openai_wires.fields("trainer")
    ),  # the sandbox and the trainer have one wire, wire_server
    StandIn(dialect=Dialect.FIREWORKS, **fireworks_wire.FIELDS),
    StandIn(dialect=Dialect.TOGETHER, **together_wire.FIELDS),
]
