"""Worlds whose provider is Azure's, Nebius' or mantle's stand-in: a project has an account of its own there."""

from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlmodel import col, select

from shared.database import transaction
from shared.jobs.models import Job
from shared.projects import credentials
from shared.projects.credential_schemas import CredentialCreate
from shared.projects.models import Credential
from shared.providers.dialects import Dialect
from tests.providers.openai_wires import AZURE_APPLICATION
from tests.worker.deployment_kills import DEPLOYING, deploying
from tests.worker.kill_points import BOUNDARIES, CALL
from tests.worker.reach_steps import World
from tests.world import lines, row, step
from worker.accounts import reconcile
from worker.providers.registry import get_provider

SHARED = ("upload", "admit", "create", "find", "poll", "cancel", "delete file")
JOBS: dict[str, tuple[str, ...]] = {
    **{what: BOUNDARIES[what] for what in SHARED},
    "finish": CALL,
}


@dataclass(frozen=True)
class WireWorld(World):
    """`base`: the path of the account's address at the stand-in."""

    dialect: Dialect = Dialect.AZURE
    base: str = "/openai/v1"

    def begin(self) -> None:
        """Give the project its account."""
        options = dict(AZURE_APPLICATION["options"]) if self.dialect is Dialect.AZURE else {}
        new = CredentialCreate(
            name="own",
            base_url=f"{self.sandbox.address}{self.base}",
            api_key=SecretStr(self.sandbox.http.headers["authorization"].removeprefix("Bearer ")),
            dialect=self.dialect,
            options=options,
        )
        with transaction() as session:
            made = credentials.create(session, self.person.project_id, new).id
        step(Credential, made)

    def credential(self) -> Credential:
        with transaction() as session:
            return session.exec(select(Credential).where(Credential.project_id == self.person.project_id)).one()

    def raw_jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.sandbox.http.get(f"{self.jobs}?limit=100").raise_for_status().json()["data"]
        return found

    def is_for(self, raw: dict[str, Any], job_id: str) -> bool:
        return bool((raw["metadata"] or {}).get("tunery_job") == job_id)

    def job_at_provider(self, job_id: str) -> Any:
        (found,) = [raw for raw in self.raw_jobs() if self.is_for(raw, job_id)]
        path = f"{self.jobs}/{found['id']}"
        return SimpleNamespace(**self.sandbox.http.get(path).raise_for_status().json())

    def files_at_provider(self, dataset_id: str) -> list[str]:
        listed = self.sandbox.http.get(f"{self.base}/files").raise_for_status().json()["data"]
        return [file["id"] for file in listed if file["filename"].startswith(dataset_id)]

    def models_at_provider(self) -> set[str]:
        listed = self.sandbox.http.get(f"{self.base}/models").raise_for_status().json()["data"]
        return {model["id"] for model in listed}

    def events_at_provider(self, provider_job_id: str) -> list[str]:
        return [event.id for event in get_provider(self.credential()).new_events(provider_job_id, None)]


@dataclass(frozen=True)
class AzureWorld(WireWorld):
    model: str = "gpt-4o-mini-2024-07-18"
    jobs: str = "/openai/v1/fine_tuning/jobs"


@dataclass(frozen=True)
class NebiusWorld(WireWorld):
    dialect: Dialect = Dialect.NEBIUS
    base: str = "/v1"
    model: str = "meta-llama/Llama-3.1-8B-Instruct"

    def is_for(self, raw: dict[str, Any], job_id: str) -> bool:
        return str(raw["suffix"]).endswith(job_id.removeprefix("ftjob-"))


@dataclass(frozen=True)
class MantleWorld(WireWorld):
    """Jobs are known by their files alone, so each attempt sends one: those that nothing needs the reconciliation
    deletes."""

    dialect: Dialect = Dialect.MANTLE
    base: str = "/v1"
    model: str = "openai.gpt-oss-20b"

    def wanted(self) -> dict[str, Any]:
        return {"model": self.model, "training_file": self.person.upload(lines(100))}

    def is_for(self, raw: dict[str, Any], job_id: str) -> bool:
        return bool(raw["training_file"] == row(Job, job_id).provider_training_file)

    def job_at_provider(self, job_id: str) -> Any:
        """The only job of the only project, whatever its file."""
        assert len(self.raw_jobs()) == len(self._jobs())
        return super().job_at_provider(job_id)

    def _jobs(self) -> list[str]:
        with transaction() as session:
            there = select(Job.id).where(
                Job.project_id == self.person.project_id, col(Job.provider_job_id).is_not(None)
            )
            return list(session.exec(there))

    def files_at_provider(self, dataset_id: str) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reconcile, "MIN_FILE_AGE", timedelta(hours=-1))
            account = self.credential()
            reconcile.carry_out(account, reconcile.find(account))
        return super().files_at_provider(dataset_id)


def _after_its_login(points: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """A worker that has no token yet asks for one first, so that the call itself is its second."""
    return {
        what: tuple(dict.fromkeys((*its, "during the 2nd call"))) for what, its in points.items() if what != "admit"
    }


WIRES: dict[str, tuple[type[WireWorld], dict[str, tuple[str, ...]]]] = {
    "azure": (
        AzureWorld,
        _after_its_login({**JOBS, "pause": CALL, "resume": CALL, "delete model": CALL, **DEPLOYING}),
    ),
    "nebius": (NebiusWorld, JOBS | deploying("during the 2nd call", "during the 3rd call")),
    "mantle": (MantleWorld, JOBS),
}
