"""A provider that speaks OpenAI's wire, through OpenAI's own SDK; read leniently, because they all differ a little."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any, BinaryIO, TypeVar

import httpx2
from openai import Omit, OpenAI, omit
from openai.pagination import SyncCursorPage, SyncPage
from openai.types import FileObject, Model
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from shared.projects.credentials import Account
from worker.net.ssrf_transport import JudgedTransport
from worker.providers import sanitize
from worker.providers.errors import provider_errors
from worker.runtime import heartbeat

JOB_KEY = "tunery_job"
PROJECT_KEY = "tunery_project"
ORGANIZATION_KEY = "tunery_organization"
CLOCKS_DIFFER = timedelta(minutes=5)
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Provider:
    """One account. Every call raises `ProviderError` and nothing else; no call is repeated by itself."""

    def __init__(self, account: Account, timeout: timedelta) -> None:
        self._errors = partial(provider_errors, account.api_key())
        self._openai = OpenAI(
            base_url=account.base_url,
            api_key="none",  # whose key it is, and in which header, is the client's below to say
            max_retries=0,
            timeout=httpx2.Timeout(timeout.total_seconds(), connect=5),
            http_client=httpx2.Client(auth=_as(account), follow_redirects=False, transport=_transport(account)),
        )
        self._openai.organization = self._openai.project = None  # never those of a client's environment

    def list_models(self) -> list[Model]:
        with self._errors():
            return [model for model in _items(self._openai.models.list()) if sanitize.is_id(model.id)]

    def job_slots(self) -> dict[str, int]:
        """How many jobs of a model the account may have at once. OpenAI documents the route, and not what it answers;
        who has no such route, or answers something else, says nothing."""
        with self._errors():
            answer = self._openai.get("/fine_tuning/model_limits", cast_to=object)
        limits = answer if isinstance(answer, dict) else {}
        most = {name: limit.get("max_concurrent_jobs") for name, limit in limits.items() if isinstance(limit, dict)}
        return {sanitize.text(name): count for name, found in most.items() if (count := sanitize.number(found))}

    def delete_model(self, name: str) -> None:
        with self._errors():
            self._openai.models.delete(name)

    def create_file(self, name: str, file: BinaryIO, expiry: timedelta) -> FileObject:
        with self._errors():
            file_object = self._openai.files.create(
                file=(name, file, "application/jsonl"), purpose="fine-tune", expires_after=_expires_after(expiry)
            )
            return _object(file_object)

    def find_file(self, name: str, size: int, since: datetime) -> FileObject | None:
        """The newest file with this name and size, made after `since` or shortly before it."""
        oldest = since - CLOCKS_DIFFER
        with self._errors():
            for file in _items(self._openai.files.list(purpose="fine-tune", order="desc", limit=1000)):
                if _is_older(file, oldest):
                    return None
                if file.filename == name and file.bytes == size:
                    return file
        return None

    def list_files(self) -> list[FileObject]:
        """All files to train with."""
        with self._errors():
            return list(_items(self._openai.files.list(purpose="fine-tune", order="desc", limit=1000)))

    def delete_file(self, file_id: str) -> None:
        with self._errors():
            self._openai.files.delete(file_id)

    def read_file(self, file_id: str) -> Iterator[bytes]:
        with self._errors(), self._openai.files.with_streaming_response.content(file_id) as response:
            for piece in response.iter_bytes(1 << 18):
                heartbeat.beat()
                yield piece

    def create_upload(self, name: str, size: int, expiry: timedelta) -> str:
        with self._errors():
            upload = self._openai.uploads.create(
                filename=name,
                bytes=size,
                mime_type="text/jsonl",
                purpose="fine-tune",
                expires_after=_expires_after(expiry),
            )
            return _object(upload).id

    def create_part(self, upload_id: str, data: BinaryIO) -> str:
        with self._errors():
            return _object(self._openai.uploads.parts.create(upload_id, data=("part", data))).id

    def complete_upload(self, upload_id: str, part_ids: list[str]) -> FileObject:
        with self._errors():
            return _object(_object(self._openai.uploads.complete(upload_id, part_ids=part_ids)).file)

    def create_job(self, asked: dict[str, Any], job_id: str, project_id: str, organization_id: str) -> FineTuningJob:
        with self._errors():
            metadata = {JOB_KEY: job_id, PROJECT_KEY: project_id, ORGANIZATION_KEY: organization_id}
            return _object(self._openai.fine_tuning.jobs.create(**asked, metadata=metadata))

    def find_jobs(self, job_id: str, since: datetime) -> list[FineTuningJob]:
        """Jobs that carry our id, oldest first. The filter is asked for, and not relied on."""
        oldest = since - CLOCKS_DIFFER
        found = []
        with self._errors():
            for job in _items(self._openai.fine_tuning.jobs.list(limit=100, metadata={JOB_KEY: job_id})):
                if _is_older(job, oldest):
                    break
                if isinstance(job.metadata, dict) and job.metadata.get(JOB_KEY) == job_id:
                    found.append(_object(job))
        return found[::-1]

    def job_pages(self) -> Iterator[list[dict[str, Any]]]:
        """All jobs, newest first, a page of 100 at a time, as they come: to make the SDK's objects of thousands takes
        seconds."""
        after: str | None = None
        while True:
            query = {"limit": 100} if after is None else {"limit": 100, "after": after}
            with self._errors():
                page = self._openai.get("/fine_tuning/jobs", cast_to=object, options={"params": query})
                jobs, has_more = _listed(page)
            yield jobs
            if not jobs or not has_more or jobs[-1]["id"] == after:  # the same again: it knows no pages
                return
            after = jobs[-1]["id"]

    def list_jobs(self, since: datetime) -> list[FineTuningJob]:
        """Jobs made since then, newest first."""
        with self._errors():
            jobs = _items(self._openai.fine_tuning.jobs.list(limit=100))
            return list(takewhile(lambda job: not _is_older(job, since), jobs))

    def get_job(self, provider_job_id: str) -> FineTuningJob:
        with self._errors():
            return _object(self._openai.fine_tuning.jobs.retrieve(provider_job_id))

    def cancel_job(self, provider_job_id: str) -> FineTuningJob:
        with self._errors():
            return _object(self._openai.fine_tuning.jobs.cancel(provider_job_id))

    def pause_job(self, provider_job_id: str) -> FineTuningJob:
        with self._errors():
            return _object(self._openai.fine_tuning.jobs.pause(provider_job_id))

    def resume_job(self, provider_job_id: str) -> FineTuningJob:
        with self._errors():
            return _object(self._openai.fine_tuning.jobs.resume(provider_job_id))

    def new_events(self, provider_job_id: str, last_seen: str | None) -> list[FineTuningJobEvent]:
        """Events that came after `last_seen`, all pages, oldest first."""
        with self._errors():
            events = self._openai.fine_tuning.jobs.list_events(provider_job_id, limit=100)
            return _until(_items(events), last_seen)[::-1]

    def checkpoints(self, provider_job_id: str) -> list[FineTuningJobCheckpoint]:
        with self._errors():
            return list(_items(self._openai.fine_tuning.jobs.checkpoints.list(provider_job_id, limit=100)))[::-1]


def _as(account: Account) -> Callable[[httpx2.Request], httpx2.Request]:
    headers = account.headers()

    def sign(request: httpx2.Request) -> httpx2.Request:
        del request.headers["authorization"]
        request.headers.update(headers)
        return request

    return sign


def _transport(account: Account) -> httpx2.BaseTransport | None:
    """The operator has chosen the deployment's provider; where a project's leads is judged at each call."""
    return JudgedTransport() if account.project_id is not None else None


def _object(answer: Answer | None) -> Answer:
    """The answer, if it is an object with an id: proxies stand before providers, and their «200 OK» may be anything."""
    id = getattr(answer, "id", None)
    if answer is None or not sanitize.is_id(id):
        raise ValueError(f"it is no object with an id, but {type(answer).__name__}")
    return answer


def _is_older(item: FileObject | FineTuningJob, time: datetime) -> bool:
    """Where its time is not told it is not: who looks for something goes on."""
    made_at = sanitize.time(item.created_at)
    return made_at is not None and made_at < time


def _items(page: SyncPage[Item] | SyncCursorPage[Item]) -> Iterator[Item]:
    """All items of all pages. What is no list must not pass for an empty one: we act upon what is not in it."""
    before: list[Item] = []
    while True:
        items = getattr(page, "data", None)
        if items is None and getattr(page, "object", None) == "list":
            items = []
        if not isinstance(items, list):
            raise ValueError(f"it is no list, but {type(page).__name__}")
        yield from items
        heartbeat.beat()
        if items == before or not page.has_next_page():  # the same again: a provider that knows no pages
            return
        before, page = items, page.get_next_page()


def _listed(page: object) -> tuple[list[dict[str, Any]], bool]:
    """A page's items, and whether there are more."""
    items = page.get("data") if isinstance(page, dict) else None
    if not isinstance(page, dict) or not isinstance(items, list):
        raise ValueError(f"it is no list, but {type(page).__name__}")
    if not all(isinstance(item, dict) and isinstance(item.get("id"), str) for item in items):
        raise ValueError("what it lists are no objects with an id")
    return items, page.get("has_more") is True


def _until(events: Iterable[FineTuningJobEvent], last_seen: str | None) -> list[FineTuningJobEvent]:
    new = []
    for event in events:
        if event.id == last_seen:
            break
        if isinstance(event.id, str):
            new.append(event)
    return new


def _expires_after(expiry: timedelta) -> Any | Omit:
    """OpenAI's limits are an hour and thirty days; zero asks for no expiry, for providers that know none."""
    return {"anchor": "created_at", "seconds": int(expiry.total_seconds())} if expiry else omit


def file_expiry(file: FileObject) -> datetime | None:
    return sanitize.time(file.expires_at)
