"""A deployment whose provider is Together's stand-in, for tests of the worker and for the benchmark of its crashes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from shared.database import transaction
from shared.db.ids import new_id
from shared.jobs.models import JobStatus
from shared.projects import service as projects
from tests.worker.kill_points import BOUNDARIES
from tests.worker.reach_steps import World
from tests.worker.support import settings
from tests.world import Sandbox, lines
from worker.providers.registry import get_provider

MODEL, JOBS, FILES = "Qwen/Qwen3-8B", "/v1/fine-tunes", "/v1/files"

KILLED: dict[str, tuple[str, ...]] = {
    **{what: BOUNDARIES[what] for what in ("find", "poll", "finish", "cancel", "delete file")},
    "upload": (*BOUNDARIES["upload"], "during the 2nd call", "during the 3rd call", "during the 4th call"),
    "create": (*BOUNDARIES["create"], "during the 2nd call"),
}
"""The points at which a worker is killed. An upload makes four calls, one of them redirected, and a create two."""


@contextmanager
def provided_by(sandbox: Sandbox) -> Iterator[None]:
    """The deployment's provider is this stand-in."""
    with settings(TUNERY_PROVIDER__BASE_URL=f"{sandbox.address}/v1", TUNERY_PROVIDER__DIALECT="together"):
        yield


def listed(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.http.get(path).raise_for_status().json()["data"]
    return found


def switch(sandbox: Sandbox, **switches: Any) -> None:
    sandbox.http.post("/sandbox/together", json=switches).raise_for_status()


@dataclass(frozen=True)
class TogetherWorld(World):
    model: str = MODEL
    jobs: str = JOBS

    def wanted(self) -> dict[str, Any]:
        """With a content of its own: the same one would be another job's file."""
        question = f"Which is {new_id('')}?"
        mine = json.dumps(
            {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "It."}]}
        )
        return {"model": self.model, "training_file": self.person.upload(lines() + mine.encode() + b"\n")}

    def job_at_provider(self, job_id: str) -> Any:
        tail = job_id.removeprefix("ftjob-")
        (found,) = [job for job in listed(self.sandbox, JOBS) if str(job["suffix"]).endswith(tail)]
        is_over = found["status"] == "completed"
        return SimpleNamespace(id=found["id"], status=JobStatus.SUCCEEDED.value if is_over else found["status"])

    def files_at_provider(self, dataset_id: str) -> list[str]:
        """Also those that were announced and never sent."""
        return [file["id"] for file in listed(self.sandbox, FILES) if file["filename"].startswith(dataset_id)]

    def events_at_provider(self, provider_job_id: str) -> list[str]:
        with transaction() as session:
            account = projects.default_credential(session)
        return [event.id for event in get_provider(account).new_events(provider_job_id, None)]
