"""A deployment whose provider is Fireworks' stand-in, for the benchmark of its crashes."""

from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from shared.database import transaction
from shared.db.times import utc_now
from shared.projects import service as projects
from tests.worker.kill_points import BOUNDARIES
from tests.worker.reach_steps import World
from worker.providers.protocol import Provider
from worker.providers.registry import get_provider

KILLED: dict[str, tuple[str, ...]] = {
    **{what: BOUNDARIES[what] for what in ("find", "poll", "finish", "cancel", "delete file")},
    "upload": (*BOUNDARIES["upload"], "during the 2nd call"),
    "create": (*BOUNDARIES["create"], "during the 2nd call"),
}
"""The points at which a worker is killed. An upload makes two calls, and so does a create."""


def provider() -> Provider:
    with transaction() as session:
        return get_provider(projects.default_credential(session))


@dataclass(frozen=True)
class FireworksWorld(World):
    model: str = "accounts/fireworks/models/qwen3-8b"
    jobs: str = "/v1/accounts/*/supervisedFineTuningJobs"
    keeps_events: bool = False  # they are made of the state in which a job is seen

    def job_at_provider(self, job_id: str) -> Any:
        jobs = provider().list_jobs(utc_now() - timedelta(days=1))
        (found,) = [job for job in jobs if job.mark is not None and job.mark.job_id == job_id]
        return SimpleNamespace(id=found.id, status=found.status, fine_tuned_model=found.fine_tuned_model)

    def files_at_provider(self, dataset_id: str) -> list[str]:
        """Also those that were created and never sent."""
        return [file.id for file in provider().list_files() if file.name.startswith(dataset_id)]

    def events_at_provider(self, provider_job_id: str) -> list[str]:
        return [event.id for event in provider().new_events(provider_job_id, None)]
