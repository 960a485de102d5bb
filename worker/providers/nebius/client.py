"""Nebius Token Factory, called through OpenAI's SDK."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from worker.providers import curve, sanitize
from worker.providers.deploying import NewDeployment, ProviderDeployment
from worker.providers.errors import ProviderError, contradiction
from worker.providers.nebius import deploying, parsing
from worker.providers.nebius.bases import with_trainable
from worker.providers.openai import parsing as openai_parsing
from worker.providers.openai.calls import path
from worker.providers.openai.client import JOBS, OpenAIProvider
from worker.providers.openai.kept import bounded
from worker.providers.openai.lacking import NoPause, NoSlots, NoUploads
from worker.providers.protocol import (
    BaseModel,
    NewFile,
    NewJob,
    ProviderCheckpoint,
    ProviderEvent,
    ProviderFile,
    ProviderJob,
)
from worker.providers.rest.by_time import LATEST

_HYPERPARAMETERS = ("n_epochs", "batch_size")  # its `learning_rate_multiplier` is a rate: ours is never sent
_CURVE_OF = "curve-of-"


class NebiusProvider(NoUploads, NoPause, NoSlots, OpenAIProvider):
    """A result file `curve-of-{job}` is made here, of the metrics of the job's checkpoints: there is none."""

    def __init__(self, account: Account, timeout: timedelta, statuses: Mapping[str, JobStatus]) -> None:
        super().__init__(account, timeout, statuses)
        self._job = partial(parsing.job, statuses=statuses)
        self._summary = partial(parsing.summary, statuses=statuses)
        self._other_api = account.base_url.removesuffix("/v1") + "/v0"

    def list_base_models(self) -> list[BaseModel]:
        return with_trainable(super().list_base_models())

    def delete_model(self, name: str) -> None:
        """A model that was never deployed is not there: 404."""
        with self._errors():
            self._json.delete(deploying.model_path(self._other_api, name))

    def create_file(self, new: NewFile, expiry: timedelta) -> ProviderFile:
        """It does not say that files can expire."""
        return super().create_file(new, timedelta())

    def read_file(self, file_id: str) -> Iterator[bytes]:
        if file_id.startswith(_CURVE_OF):
            saved = self.checkpoints(file_id.removeprefix(_CURVE_OF))
            return curve.table({**each.metrics, "step": each.step_number} for each in saved)
        return super().read_file(file_id)

    def create_job(self, job: NewJob) -> ProviderJob:
        hyperparameters = _hyperparameters(job)
        body = {
            "model": job.model,
            "training_file": job.training_file,
            "validation_file": job.validation_file,
            "seed": job.seed,
            "suffix": parsing.marked(job.suffix, job.mark),
            "hyperparameters": hyperparameters,
            "metadata": openai_parsing.metadata(job.mark),
        }
        with self._errors():
            return self._job(self._json.post(JOBS, {name: value for name, value in body.items() if value is not None}))

    def find_jobs(self, job_id: str, since: datetime, training_file: str) -> list[ProviderJob]:
        """The whole list is compared: if metadata was not kept, a filter by it would show nothing."""
        with self._errors():
            marks = ((raw, parsing.mark_of(raw)) for raw in self._raw_jobs_since(since))
            ours = (self._job(raw) for raw, mark in marks if mark is not None and mark.job_id == job_id)
            return list(bounded(ours, "jobs"))[::-1]

    def get_job(self, provider_job_id: str) -> ProviderJob:
        job = super().get_job(provider_job_id)
        if job.status is not JobStatus.SUCCEEDED:
            return job
        return replace(job, result_files=(f"{_CURVE_OF}{job.id}", *job.result_files, *self._adapter(job.id)))

    def _adapter(self, provider_job_id: str) -> tuple[str, ...]:
        """The files of the last checkpoint, which are the model."""
        try:
            saved = self._saved(provider_job_id)
        except ProviderError as error:
            if error.retryable:
                raise
            return ()
        last = max(saved, key=lambda raw: sanitize.number(raw.get("step_number"), 0) or 0, default={})
        return openai_parsing.ids(last.get("result_files"))[: openai_parsing.MAX_RESULT_FILES - 1]

    def new_events(self, provider_job_id: str, last_seen: str | None) -> list[ProviderEvent]:
        """Its own events, which are few, then those that are made of its progress. All: both parts grow."""
        told = super().new_events(provider_job_id, None)
        with self._errors():
            raw = openai_parsing.json_object(self._json.get(path(JOBS, provider_job_id)))
            done, total = parsing.steps_of(raw)
        saved = self._named(provider_job_id, parsing.model_name(raw)) if done else []
        return [*told, *parsing.progress(done, total, saved)]

    def checkpoints(self, provider_job_id: str) -> list[ProviderCheckpoint]:
        with self._errors():
            name = parsing.model_name(openai_parsing.json_object(self._json.get(path(JOBS, provider_job_id))))
        return self._named(provider_job_id, name)

    def _named(self, provider_job_id: str, model: str) -> list[ProviderCheckpoint]:
        read = (parsing.checkpoint(raw, model) for raw in self._saved(provider_job_id))
        return sorted((each for each in read if each is not None), key=lambda each: each.step_number)

    def _saved(self, provider_job_id: str) -> list[dict[str, Any]]:
        with self._errors():
            listed = self._json.items(path(JOBS, provider_job_id, "checkpoints"), limit=100)
            return list(bounded(listed, "checkpoints"))

    def create_deployment(self, new: NewDeployment) -> ProviderDeployment:
        checkpoint_id = new.provider_checkpoint_id or self._last_checkpoint(new.provider_job_id)
        with self._errors():
            body = deploying.body(new, checkpoint_id)
            return deploying.deployment(self._json.post(f"{self._other_api}/models", body))

    def _last_checkpoint(self, provider_job_id: str) -> str:
        """Of the whole job: its model."""
        saved = self.checkpoints(provider_job_id)
        if not saved:
            sentence = f"The job {provider_job_id} has no checkpoint at the provider that could be deployed"
            raise ProviderError(sentence, "checkpoint_missing", retryable=False, status=404)
        return saved[-1].id

    def find_deployments(self, deployment_id: str) -> list[ProviderDeployment]:
        return [each for each in self.list_deployments() if each.deployment_id == deployment_id]

    def advance_deployment(self, new: NewDeployment, provider_deployment_id: str) -> ProviderDeployment:
        with self._errors():
            return deploying.deployment(self._json.get(deploying.model_path(self._other_api, provider_deployment_id)))

    def delete_deployment(self, provider_deployment_id: str) -> None:
        self.delete_model(provider_deployment_id)

    def list_deployments(self) -> list[ProviderDeployment]:
        with self._errors():
            listed = map(deploying.deployment, deploying.items(self._json.get(f"{self._other_api}/models")))
            return sorted(bounded(listed, "deployments"), key=lambda each: each.created_at or LATEST)


def _hyperparameters(job: NewJob) -> dict[str, Any]:
    """Without `lora` it would train all weights. Raises `ProviderError` for options that exclude each other."""
    asked = {name: job.hyperparameters[name] for name in _HYPERPARAMETERS if name in job.hyperparameters}
    options = {name: value for name, value in job.provider_options.items() if name != "full"}
    of_lora = ", ".join(name for name in options if name.startswith("lora_"))
    if job.provider_options.get("full") and of_lora:
        raise contradiction(f"full trains all weights, so {of_lora} cannot be given with it")
    return {**asked, **options, "lora": not job.provider_options.get("full", False)}
