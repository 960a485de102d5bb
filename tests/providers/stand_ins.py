"""The providers that the conformance suite runs for, and how trouble is made on each one's wire."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from io import BytesIO
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from tests.world import Sandbox, lines
from worker.providers.protocol import Mark, NewJob, Provider, ProviderFile, ProviderJob
from worker.providers.registry import PROVIDERS

TIMEOUT, SHORT_TIMEOUT = timedelta(seconds=30), timedelta(seconds=1)
EXPIRY = timedelta(hours=1)
LONG_AGO = utc_now() - timedelta(days=1)
MODEL = "gpt-4o-mini-2024-07-18"


@dataclass(frozen=True)
class StandIn:
    """One provider. `calls`: by the name of a method of `Provider`, the HTTP call that it makes.

    `page(items)` is a page that says there are more, `item(number)` an object in it, and `max_pages` the constant that
    bounds a list. `odd_jobs` are fields that a job may come with and that must not be believed; `status_field(word)`
    gives a job that status. `lacks`: methods that the provider does not have, and why.
    """

    name: str
    dialect: Dialect
    calls: Mapping[str, tuple[str, str]]
    page: Callable[[list[dict[str, Any]]], dict[str, Any]]
    item: Callable[[int], dict[str, Any]]
    odd_jobs: Sequence[dict[str, Any]]
    status_field: Callable[[str], dict[str, Any]]
    max_pages: str
    lacks: Mapping[str, str] = field(default_factory=dict)


@cache
def client(dialect: Dialect, base_url: str, timeout: timedelta = TIMEOUT) -> Provider:
    """A client of the deployment's account at this address, kept as the worker keeps it; the settings hold its key."""
    entry = PROVIDERS[dialect]
    return entry.client(Account(None, None, base_url, dialect, 0, None), timeout, entry.statuses)


class Far:
    """The provider's client, and the controls of its stand-in."""

    def __init__(self, stand_in: StandIn, sandbox: Sandbox) -> None:
        self.stand_in, self.sandbox = stand_in, sandbox
        self.provider = client(stand_in.dialect, f"{sandbox.address}/v1")

    def needs(self, *methods: str) -> None:
        """Skip the test if the provider has no such method, and say why."""
        for method in methods:
            if method in self.stand_in.lacks:
                pytest.skip(f"{self.stand_in.name} has no {method}: {self.stand_in.lacks[method]}")

    def fault(self, method: str, **fault: Any) -> None:
        """Let the next call that this method makes go wrong. If it is a delay, no answer is waited for longer."""
        if "delay" in fault or "delay_after" in fault:
            self.provider = client(self.stand_in.dialect, f"{self.sandbox.address}/v1", SHORT_TIMEOUT)
        self.sandbox.arm(*self.stand_in.calls[method], **fault)

    def answer(self, method: str, body: Any, **fault: Any) -> None:
        """Let the next call be answered with this JSON, and 200."""
        headers = {"content-type": "application/json"}
        self.fault(method, status=200, body=json.dumps(body), headers=headers, **fault)

    def file(self, content: bytes | None = None, name: str = "file-a.jsonl") -> ProviderFile:
        return self.provider.create_file(name, BytesIO(content or lines()), EXPIRY)

    def new_job(self, job_id: str = "ftjob-ours", **values: Any) -> NewJob:
        given: dict[str, Any] = {"model": MODEL, "seed": 7, **values}
        given.setdefault("training_file", None)
        given["training_file"] = given["training_file"] or self.file().id
        left_out: dict[str, Any] = dict.fromkeys(("validation_file", "suffix", "method", "integrations"))
        return NewJob(mark=Mark(job_id, "proj_ours", "org-ours"), **{**left_out, **given})

    def job(self, job_id: str = "ftjob-ours", **values: Any) -> ProviderJob:
        return self.provider.create_job(self.new_job(job_id, **values))

    def running_job(self, **values: Any) -> ProviderJob:
        job = self.job(**values)
        self.sandbox.move(job.id, status="running")
        return job


_JOBS = "/v1/fine_tuning/jobs"
_OPENAI_CALLS = {
    "list_base_models": ("GET", "/v1/models"),
    "job_slots": ("GET", "/v1/fine_tuning/model_limits"),
    "delete_model": ("DELETE", "/v1/models/*"),
    "create_file": ("POST", "/v1/files"),
    "find_file": ("GET", "/v1/files"),
    "list_files": ("GET", "/v1/files"),
    "delete_file": ("DELETE", "/v1/files/*"),
    "file_name": ("GET", "/v1/files/*"),
    "read_file": ("GET", "/v1/files/*/content"),
    "create_upload": ("POST", "/v1/uploads"),
    "create_part": ("POST", "/v1/uploads/*/parts"),
    "complete_upload": ("POST", "/v1/uploads/*/complete"),
    "create_job": ("POST", _JOBS),
    "find_jobs": ("GET", _JOBS),
    "job_pages": ("GET", _JOBS),
    "list_jobs": ("GET", _JOBS),
    "get_job": ("GET", f"{_JOBS}/*"),
    "cancel_job": ("POST", f"{_JOBS}/*/cancel"),
    "pause_job": ("POST", f"{_JOBS}/*/pause"),
    "resume_job": ("POST", f"{_JOBS}/*/resume"),
    "new_events": ("GET", f"{_JOBS}/*/events"),
    "checkpoints": ("GET", f"{_JOBS}/*/checkpoints"),
}
_ODD_OPENAI_JOBS: list[dict[str, Any]] = [
    {"model": None, "seed": None, "error": None, "hyperparameters": None, "method": None, "metadata": None},
    {"model": 4, "seed": "seven", "error": "none", "hyperparameters": "auto", "method": "dpo", "metadata": "none"},
    {"trained_tokens": -1, "seed": 2**31, "created_at": "today", "estimated_finish": 1893456000000},
    {"trained_tokens": 0.5, "seed": 1e300, "finished_at": -1, "result_files": 5, "training_file": 7},
    {"error": {}, "result_files": [None, 5, ""], "method": {"type": 5}, "validation_file": {}, "error_code": []},
    {"fine_tuned_model": "", "something_new": {"of": ["tomorrow"]}},
]


def _openai(name: str, dialect: Dialect) -> StandIn:
    return StandIn(
        name=name,
        dialect=dialect,
        calls=_OPENAI_CALLS,
        page=lambda items: {"object": "list", "data": items, "has_more": True},
        item=lambda number: {"id": f"file-{number}", "fine_tuned_model_checkpoint": f"ft:{number}", "step_number": 1},
        odd_jobs=_ODD_OPENAI_JOBS,
        status_field=lambda word: {"status": word},
        max_pages="worker.providers.openai.calls.MAX_PAGES",
    )


STAND_INS = [
    _openai("openai", Dialect.OPENAI),
    _openai("azure", Dialect.AZURE),
    _openai("trainer", Dialect.TRAINER),  # the sandbox and the trainer have one wire, wire_server
]
