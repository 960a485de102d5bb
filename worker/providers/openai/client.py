"""A provider that speaks OpenAI's wire, called through OpenAI's own SDK."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any, BinaryIO

import openai
from openai import Omit, omit

from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from worker.providers import sanitize
from worker.providers.openai import parsing
from worker.providers.openai.calls import READ_CHUNK_BYTES, JsonCalls, path, sdk_client
from worker.providers.openai.errors import provider_errors
from worker.providers.openai.kept import bounded
from worker.providers.openai.model_list import base_models
from worker.providers.protocol import (
    MAX_CLOCK_SKEW,
    BaseModel,
    NewFile,
    NewJob,
    ProviderCheckpoint,
    ProviderEvent,
    ProviderFile,
    ProviderJob,
)
from worker.runtime import heartbeat

JOBS = "/fine_tuning/jobs"


class OpenAIProvider:
    """See `Provider`. Paths and fields are those of OpenAI's API reference. `statuses` translates its words."""

    def __init__(self, account: Account, timeout: timedelta, statuses: Mapping[str, JobStatus]) -> None:
        self._errors = partial(provider_errors, account.api_key(), account.tokens)
        self._openai = sdk_client(account, timeout)
        self._json = JsonCalls(self._openai)
        self._job = partial(parsing.job, statuses=statuses)
        self._summary = partial(parsing.summary, statuses=statuses)
        self._file: Callable[[object], ProviderFile] = parsing.file

    def list_base_models(self) -> list[BaseModel]:
        with self._errors():
            return base_models(parsing.items(self._json.get("/models")))

    def job_slots(self) -> dict[str, int]:
        """OpenAI documents the route, but not its answer; this is the shape seen there. Another shape gives `{}`."""
        with self._errors():
            answer = self._json.get("/fine_tuning/model_limits")
        limits = answer if isinstance(answer, dict) else {}
        counts = {name: limit.get("max_concurrent_jobs") for name, limit in limits.items() if isinstance(limit, dict)}
        return {sanitize.text(name): count for name, raw in counts.items() if (count := sanitize.number(raw))}

    def delete_model(self, name: str) -> None:
        with self._errors():
            self._json.delete(path("/models", name))

    def create_file(self, new: NewFile, expiry: timedelta) -> ProviderFile:
        with self._errors():
            created = self._openai.files.create(
                file=(new.name, new.content, "application/jsonl"),
                purpose="fine-tune",
                expires_after=_expires_after(expiry),
            )
            return self._file(_raw(created))

    def find_file(self, name: str, size: int, since: datetime) -> ProviderFile | None:
        with self._errors():
            for raw in self._files():
                if parsing.is_older(raw, since - MAX_CLOCK_SKEW):
                    return None
                if raw.get("filename") == name and raw.get("bytes") == size:
                    return self._file(raw)
        return None

    def list_files(self) -> list[ProviderFile]:
        with self._errors():
            files = (self._file(raw) for raw in self._files() if sanitize.is_id(raw.get("id")))
            return list(bounded(files, "files"))

    def _files(self) -> Iterator[dict[str, Any]]:
        return self._json.items("/files", purpose="fine-tune", order="desc", limit=1000)

    def delete_file(self, file_id: str) -> None:
        with self._errors():
            self._json.delete(path("/files", file_id))

    def file_name(self, file_id: str) -> str:
        with self._errors():
            return self._file(self._json.get(path("/files", file_id))).name

    def read_file(self, file_id: str) -> Iterator[bytes]:
        with self._errors(), self._openai.files.with_streaming_response.content(file_id) as response:
            for chunk in response.iter_bytes(READ_CHUNK_BYTES):
                heartbeat.beat()
                yield chunk

    def create_upload(self, name: str, size: int, expiry: timedelta) -> str:
        with self._errors():
            upload = self._openai.uploads.create(
                filename=name,
                bytes=size,
                mime_type="text/jsonl",
                purpose="fine-tune",
                expires_after=_expires_after(expiry),
            )
            return parsing.id_of(_raw(upload))

    def create_part(self, upload_id: str, data: BinaryIO) -> str:
        with self._errors():
            return parsing.id_of(_raw(self._openai.uploads.parts.create(upload_id, data=("part", data))))

    def complete_upload(self, upload_id: str, part_ids: list[str]) -> ProviderFile:
        with self._errors():
            upload = self._json.post(path("/uploads", upload_id, "complete"), {"part_ids": part_ids})
            parsing.id_of(upload)
            return parsing.file(parsing.json_object(upload).get("file"))

    def create_job(self, job: NewJob) -> ProviderJob:
        """Fields that the caller left out are not sent, for providers that know fewer than OpenAI."""
        body = {
            "model": job.model,
            "training_file": job.training_file,
            "validation_file": job.validation_file,
            "seed": job.seed,
            "suffix": job.suffix,
            "method": job.method,
            "integrations": job.integrations,
            "metadata": parsing.metadata(job.mark),
        }
        given = {**job.provider_options, **{name: value for name, value in body.items() if value is not None}}
        with self._errors():
            return self._job(self._json.post(JOBS, given))

    def find_jobs(self, job_id: str, since: datetime, training_file: str) -> list[ProviderJob]:
        """By metadata. The list is filtered by it here too, because some providers ignore the filter."""
        with self._errors():
            new = self._raw_jobs_since(since, metadata={parsing.JOB_KEY: job_id})
            ours = (self._job(raw) for raw in new if parsing.metadata_of(raw).get(parsing.JOB_KEY) == job_id)
            return list(bounded(ours, "jobs"))[::-1]

    def _raw_jobs_since(self, since: datetime, **query: Any) -> Iterator[dict[str, Any]]:
        raws = self._json.items(JOBS, limit=100, **query)
        return takewhile(lambda raw: not parsing.is_older(raw, since - MAX_CLOCK_SKEW), raws)

    def job_pages(self) -> Iterator[list[ProviderJob]]:
        pages = self._json.pages(JOBS, limit=100)
        while True:
            with self._errors():
                page = next(pages, None)
                jobs = [self._summary(raw) for raw in page or ()]
            if page is None:
                return
            yield jobs

    def list_jobs(self, since: datetime) -> list[ProviderJob]:
        with self._errors():
            raws = takewhile(lambda raw: not parsing.is_older(raw, since), self._json.items(JOBS, limit=100))
            return list(bounded((self._job(raw) for raw in raws if sanitize.is_id(raw.get("id"))), "jobs"))

    def get_job(self, provider_job_id: str) -> ProviderJob:
        with self._errors():
            return self._job(self._json.get(path(JOBS, provider_job_id)))

    def cancel_job(self, provider_job_id: str) -> ProviderJob:
        with self._errors():
            return self._job(self._json.post(path(JOBS, provider_job_id, "cancel")))

    def pause_job(self, provider_job_id: str) -> ProviderJob:
        with self._errors():
            return self._job(self._json.post(path(JOBS, provider_job_id, "pause")))

    def resume_job(self, provider_job_id: str) -> ProviderJob:
        with self._errors():
            return self._job(self._json.post(path(JOBS, provider_job_id, "resume")))

    def new_events(self, provider_job_id: str, last_seen: str | None) -> list[ProviderEvent]:
        """The wire lists the newest first, so reading stops at `last_seen`."""
        with self._errors():
            events = map(parsing.event, self._json.items(path(JOBS, provider_job_id, "events"), limit=100))
            new = takewhile(lambda event: event is None or event.id != last_seen, events)
            return list(bounded((event for event in new if event is not None), "events"))[::-1]

    def checkpoints(self, provider_job_id: str) -> list[ProviderCheckpoint]:
        with self._errors():
            listed = map(parsing.checkpoint, self._json.items(path(JOBS, provider_job_id, "checkpoints"), limit=100))
            return list(bounded((each for each in listed if each is not None), "checkpoints"))[::-1]


def _raw(answer: object) -> object:
    """Decoded JSON of an answer of the SDK's typed methods, which send multipart bodies."""
    return answer.to_dict(warnings=False) if isinstance(answer, openai.BaseModel) else answer


def _expires_after(expiry: timedelta) -> Any | Omit:
    """OpenAI accepts an hour to thirty days. Nothing is sent for zero: not every provider knows the field."""
    return {"anchor": "created_at", "seconds": int(expiry.total_seconds())} if expiry else omit
