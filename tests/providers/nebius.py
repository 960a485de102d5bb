"""A client of Nebius and its stand-in, for the tests of what only Nebius does."""

from typing import Any

from shared.providers.dialects import Dialect
from tests.providers.stand_ins import STAND_INS, Far
from worker.providers.nebius.client import NebiusProvider

JOB_ID = "ftjob-01m8aaaaaaaaaaaaaaaaaaaaaa"
NEBIUS = next(stand_in for stand_in in STAND_INS if stand_in.dialect is Dialect.NEBIUS)


class Nebius(Far):
    provider: NebiusProvider


def supervised(**hyperparameters: Any) -> dict[str, Any]:
    return {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}


def shown(nebius: Nebius, provider_job_id: str) -> dict[str, Any]:
    answer = nebius.sandbox.http.get(f"/v1/fine_tuning/jobs/{provider_job_id}")
    raw: dict[str, Any] = answer.raise_for_status().json()
    return raw


def done(nebius: Nebius, **values: Any) -> str:
    job = nebius.running_job(**values)
    nebius.sandbox.move(job.id, status="succeeded")
    return job.id
