"""AWS Bedrock «mantle», called through OpenAI's SDK."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from worker.providers.errors import unsupported
from worker.providers.openai import parsing
from worker.providers.openai.calls import path
from worker.providers.openai.client import JOBS, OpenAIProvider
from worker.providers.openai.kept import bounded
from worker.providers.openai.lacking import NoPause, NoSlots, NoUploads
from worker.providers.protocol import BaseModel, NewFile, NewJob, ProviderFile, ProviderJob

_TRAINED = ("gpt-oss-20b", "qwen3-32b")  # parts of the names of what its guides train, as of 2026-02


class MantleProvider(NoUploads, NoPause, NoSlots, OpenAIProvider):
    """A job carries no mark but its training file, which no other create has named.

    The list shows an old status of a job, so each is asked for by its id.
    """

    def list_base_models(self) -> list[BaseModel]:
        """Its list does not say what can be tuned. If no name is a known one, all may be."""
        listed = super().list_base_models()
        known = {model.id for model in listed if any(part in model.id.lower() for part in _TRAINED)}
        return [replace(model, is_tunable=not known or model.id in known) for model in listed]

    def create_file(self, new: NewFile, expiry: timedelta) -> ProviderFile:
        """It does not say that files can expire."""
        return super().create_file(new, timedelta())

    def create_job(self, job: NewJob) -> ProviderJob:
        """Its guides name no suffix, no seed and no metadata. Without a method it trains by supervision."""
        body = {"model": job.model, "training_file": job.training_file, **_method(job)}
        with self._errors():
            return self._job(self._json.post(JOBS, body))

    def find_jobs(self, job_id: str, since: datetime, training_file: str) -> list[ProviderJob]:
        with self._errors():
            of_file = (raw for raw in self._raw_jobs_since(since) if raw.get("training_file") == training_file)
            ids = list(bounded(map(parsing.id_of, of_file), "jobs"))
            return [self._job(self._json.get(path(JOBS, id))) for id in ids][::-1]

    def job_pages(self) -> NoReturn:
        raise unsupported("The list of jobs shows old statuses")


def _method(job: NewJob) -> dict[str, Any]:
    """The fields that say how to train. What may only be `auto` there is not sent."""
    hyperparameters = {"hyperparameters": job.hyperparameters} if job.hyperparameters else {}
    if job.method_type == "supervised":
        return hyperparameters
    block = (job.method or {}).get(job.method_type) or {}
    rest = {name: value for name, value in block.items() if name != "hyperparameters"}
    return {"method": {"type": job.method_type, job.method_type: {**rest, **hyperparameters}}}
