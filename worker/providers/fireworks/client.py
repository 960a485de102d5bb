"""Fireworks AI, on its own wire. What we create has ids of ours, so a create that comes twice makes one thing."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from worker.providers import curve, sanitize
from worker.providers.errors import ProviderError, unsupported
from worker.providers.fireworks import events, names, parsing, requests
from worker.providers.fireworks.deployments import FireworksDeployments
from worker.providers.fireworks.errors import refused
from worker.providers.fireworks.files import address
from worker.providers.openai.kept import bounded
from worker.providers.openai.lacking import NoSlots
from worker.providers.openai.parsing import MAX_RESULT_FILES, json_object
from worker.providers.protocol import (
    MAX_CLOCK_SKEW,
    BaseModel,
    NewJob,
    ProviderCheckpoint,
    ProviderEvent,
    ProviderJob,
)
from worker.providers.rest import google, metric_lines
from worker.providers.rest.by_time import LATEST, is_since
from worker.providers.rest.calls import RestCalls


class FireworksProvider(NoSlots, FireworksDeployments):
    """See `Provider`. The account is the end of its address, `…/v1/accounts/{account}`."""

    def __init__(self, account: Account, timeout: timedelta, statuses: Mapping[str, JobStatus]) -> None:
        super().__init__(account, timeout)
        self._catalogue = RestCalls(_at(account, "fireworks"), timeout, refused)
        self._job = partial(parsing.job, statuses=statuses)

    def list_base_models(self) -> list[BaseModel]:
        """Those that everybody may use; an account's own bases are few, and would need a list of their own."""
        with self._errors():
            found = map(parsing.base_model, google.items(self._catalogue, "/models", "models"))
            return list(bounded((model for model in found if model is not None), "models"))

    def delete_model(self, name: str) -> None:
        with self._errors():
            self._calls.delete(names.model_path(name))

    def create_job(self, job: NewJob) -> ProviderJob:
        kind, body = requests.creation(job, self._account)
        for param, file_id in (("training_file", job.training_file), ("validation_file", job.validation_file)):
            if file_id is not None:
                self._check_ready(file_id, param)
        with self._errors():
            return self._job(self._created(f"/{kind}", names.as_id(job.mark.job_id), body, _ID_FIELDS[kind]), kind)

    def find_jobs(self, job_id: str, since: datetime, training_file: str) -> list[ProviderJob]:
        with self._errors():
            found = [(kind, self._found(f"/{kind}", names.as_id(job_id))) for kind in names.JOB_KINDS]
            jobs = [self._job(raw, kind) for kind, raw in found if raw is not None]
        return [job for job in jobs if is_since(job.created_at, since - MAX_CLOCK_SKEW)]

    def job_pages(self) -> Iterator[list[ProviderJob]]:
        jobs = self._newest_jobs()
        while True:
            with self._errors():
                page = list(islice(jobs, _PAGE_OF_JOBS))
            if not page:
                return
            yield page

    def _newest_jobs(self) -> Iterator[ProviderJob]:
        """Of each kind, as far as the order that we ask for is kept."""
        lists = [self._of_kind(kind) for kind in names.JOB_KINDS]
        return heapq.merge(*lists, key=lambda job: job.created_at or LATEST, reverse=True)

    def _of_kind(self, kind: str) -> Iterator[ProviderJob]:
        raws = google.items(self._calls, f"/{kind}", kind, orderBy="createTime desc")
        return (self._job(raw, kind) for raw in raws)

    def list_jobs(self, since: datetime) -> list[ProviderJob]:
        """Reads the list to its end: nothing says that the order that we ask for is kept."""
        with self._errors():
            new = (job for job in self._newest_jobs() if is_since(job.created_at, since))
            return list(bounded(new, "jobs"))

    def get_job(self, provider_job_id: str) -> ProviderJob:
        with self._errors():
            job = self._job(self._get(provider_job_id), names.split_job(provider_job_id)[0])
            if job.status is not JobStatus.SUCCEEDED or job.fine_tuned_model is None:
                return job
            return replace(job, result_files=(*job.result_files, *self._weights(job.fine_tuned_model)))

    def _weights(self, model: str) -> tuple[str, ...]:
        """The files of a tuned model; none where the provider does not give them."""
        try:
            found = self._readable(names.model_path(model))
        except ProviderError as error:
            if error.retryable:
                raise
            return ()
        files = (names.weights_id(model, name) for name in sorted(found))
        return tuple(id for id in files if sanitize.is_id(id))[: MAX_RESULT_FILES - 1]

    def _get(self, provider_job_id: str, verb: str = "") -> dict[str, Any]:
        return json_object(self._calls.get(f"{names.job_path(provider_job_id)}{verb}"))

    def cancel_job(self, provider_job_id: str) -> ProviderJob:
        """The answer to a cancel is empty, and comes before the job has ended."""
        with self._errors():
            json_object(self._calls.post(f"{names.job_path(provider_job_id)}:cancel"))
            return self.get_job(provider_job_id)

    def pause_job(self, provider_job_id: str) -> ProviderJob:
        raise unsupported("Fireworks AI cannot pause a job")

    def resume_job(self, provider_job_id: str) -> ProviderJob:
        """Of a job that the provider has paused, as for an account that owed money."""
        with self._errors():
            resumed = self._calls.post(f"{names.job_path(provider_job_id)}:resume")
            return self._job(resumed, names.split_job(provider_job_id)[0])

    def new_events(self, provider_job_id: str, last_seen: str | None) -> list[ProviderEvent]:
        """All: metrics may come later than the events that are told after them."""
        with self._errors():
            raw = self._get(provider_job_id)
            job = self._job(raw, names.split_job(provider_job_id)[0])
            is_over = job.status is not None and job.status.is_final
            rows = self._metrics(provider_job_id, raw, is_whole=is_over)
            return list(bounded(events.events(raw, job, rows), "events"))

    def _metrics(self, provider_job_id: str, raw: dict[str, Any], *, is_whole: bool) -> Iterator[metric_lines.Row]:
        """Of a job that has none yet, and where the storage refuses them, nothing."""
        try:
            url = raw.get("metricsFileSignedUrl") or self._metrics_address(provider_job_id)
            if isinstance(url, str) and url:
                yield from metric_lines.rows(self._signed.read(url), is_whole=is_whole)
        except ProviderError as error:
            if error.retryable or error.status is None:
                raise

    def _metrics_address(self, provider_job_id: str) -> object:
        """A preference job does not carry the address; it has a call of its own."""
        if names.split_job(provider_job_id)[0] != names.PREFERENCE:
            return None
        return self._get(provider_job_id, ":getMetricsFileEndpoint").get("signedUrl")

    def read_file(self, file_id: str) -> Iterator[bytes]:
        """By a job's id the table of its metrics, and by a model's with a file's name that file of its weights."""
        if (weights := names.split_weights(file_id)) is not None:
            with self._errors():
                yield from self._signed.read(address(self._readable(names.model_path(weights[0])), weights[1]))
            return
        if file_id.partition("/")[0] not in names.JOB_KINDS:
            yield from super().read_file(file_id)
            return
        with self._errors():
            raw = self._get(file_id)
            yield from curve.table(row.data for row in self._metrics(file_id, raw, is_whole=True))

    def checkpoints(self, provider_job_id: str) -> list[ProviderCheckpoint]:
        return []


_PAGE_OF_JOBS = 100
_ID_FIELDS = {names.SUPERVISED: "supervisedFineTuningJobId", names.PREFERENCE: "dpoJobId"}


def _at(account: Account, name: str) -> Account:
    return replace(account, base_url=f"{account.base_url.rpartition('/')[0]}/{name}")
