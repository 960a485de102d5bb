"""A provider that speaks Together AI's wire."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from worker.providers import sanitize
from worker.providers.errors import ProviderError
from worker.providers.openai.calls import path
from worker.providers.openai.kept import bounded
from worker.providers.openai.lacking import NoPause, NoSlots
from worker.providers.openai.parsing import json_object
from worker.providers.protocol import (
    MAX_CLOCK_SKEW,
    BaseModel,
    NewJob,
    ProviderCheckpoint,
    ProviderEvent,
    ProviderJob,
)
from worker.providers.rest import long_list
from worker.providers.rest.by_time import is_since, newest_first
from worker.providers.together import events, parsing, suffix
from worker.providers.together.creation import body
from worker.providers.together.deploying import TogetherDeployments
from worker.providers.together.files import JOBS


class TogetherProvider(NoPause, NoSlots, TogetherDeployments):
    """See `Provider`. Paths and fields are those of Together's API reference."""

    def __init__(self, account: Account, timeout: timedelta, statuses: Mapping[str, JobStatus]) -> None:
        super().__init__(account, timeout, statuses)
        self._job = partial(parsing.job, statuses=statuses)
        self._summary = partial(parsing.summary, statuses=statuses)

    def list_base_models(self) -> list[BaseModel]:
        with self._errors():
            names = json_object(self._json.get(f"{JOBS}/models/supported")).get("models")
            if not isinstance(names, list):
                raise ValueError("it is no list of models")
            return [BaseModel(name, 0, "", None, is_tunable=True) for name in names if sanitize.is_id(name)]

    def delete_model(self, name: str) -> None:
        """The model goes with the job that made it."""
        with self._all_jobs() as raws:
            made = [raw["id"] for raw in _with_ids(raws) if self._summary(raw).fine_tuned_model == name]
        if not made:
            raise ProviderError(f"no job has made the model {name}", "model_not_found", retryable=False, status=404)
        with self._errors():
            self._json.delete(path(JOBS, made[0]))

    def create_job(self, job: NewJob) -> ProviderJob:
        asked = body(job)
        for param in ("training_file", "validation_file"):
            if param in asked:
                self._check_file(asked[param], param)
        with self._errors():
            return self._job(self._json.post(JOBS, asked))

    def find_jobs(self, job_id: str, since: datetime, training_file: str) -> list[ProviderJob]:
        with self._all_jobs() as raws:
            ours = (self._job(raw) for raw in raws if suffix.is_for(raw, job_id))
            return _since(since - MAX_CLOCK_SKEW, ours)[::-1]

    def job_pages(self) -> Iterator[list[ProviderJob]]:
        """The list has no pages."""
        with self._all_jobs() as raws:
            page = newest_first(bounded(map(self._summary, _with_ids(raws)), "jobs"))
        yield page

    def list_jobs(self, since: datetime) -> list[ProviderJob]:
        with self._all_jobs() as raws:
            return _since(since, map(self._job, _with_ids(raws)))

    @contextmanager
    def _all_jobs(self) -> Iterator[Iterator[dict[str, Any]]]:
        """In whichever order they come, and never all of them at once: an account may have very many."""
        with self._errors(), self._json.stream(JOBS) as chunks:
            yield long_list.items(chunks)

    def get_job(self, provider_job_id: str) -> ProviderJob:
        with self._errors():
            raw = json_object(self._json.get(path(JOBS, provider_job_id)))
            if self._job(raw).status is JobStatus.FAILED and parsing.error(raw.get("events")) is None:
                raw = {**raw, "events": self._event_list(provider_job_id)}
            return self._job(raw)

    def cancel_job(self, provider_job_id: str) -> ProviderJob:
        with self._errors():
            return self._job(self._json.post(path(JOBS, provider_job_id, "cancel")))

    def new_events(self, provider_job_id: str, last_seen: str | None) -> list[ProviderEvent]:
        """All: metrics may come later than the events that are told after them."""
        with self._errors():
            raws = self._event_list(provider_job_id)
            return list(bounded(events.series(raws, self._metrics(provider_job_id)), "events"))

    def _event_list(self, provider_job_id: str) -> list[dict[str, Any]]:
        return self._whole(path(JOBS, provider_job_id, "events"))

    def checkpoints(self, provider_job_id: str) -> list[ProviderCheckpoint]:
        with self._errors():
            raws = self._whole(path(JOBS, provider_job_id, "checkpoints"))
            return events.checkpoints(provider_job_id, raws, self._metrics(provider_job_id) if raws else None)


def _since(time: datetime, jobs: Iterable[ProviderJob]) -> list[ProviderJob]:
    return newest_first(bounded((job for job in jobs if is_since(job.created_at, time)), "jobs"))


def _with_ids(raws: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (raw for raw in raws if sanitize.is_id(raw.get("id")))
