"""Files of an account at Together: `/files` has OpenAI's paths, but for the upload. The same content is one file."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.db.times import utc_now
from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from worker.providers import curve, sanitize
from worker.providers.errors import ProviderError, not_ready, refusal
from worker.providers.openai.calls import Redirected, path
from worker.providers.openai.client import OpenAIProvider
from worker.providers.openai.lacking import NoUploads
from worker.providers.openai.parsing import json_object
from worker.providers.protocol import MAX_CLOCK_SKEW, NewFile, ProviderFile
from worker.providers.rest.by_time import is_since, time_of
from worker.providers.rest.signed import SignedFiles
from worker.providers.together import events, parsing

JOBS = "/fine-tunes"
MAX_METRICS = 2_000  # of a job, evenly chosen by the provider
UPLOAD_GRACE = timedelta(hours=1)  # how long another upload of the same content may take


class TogetherFiles(NoUploads, OpenAIProvider):
    def __init__(self, account: Account, timeout: timedelta, statuses: Mapping[str, JobStatus]) -> None:
        super().__init__(account, timeout, statuses)
        self._storage = SignedFiles(account, timeout)
        self._file = parsing.file

    def create_file(self, new: NewFile, expiry: timedelta) -> ProviderFile:
        """Reserve a place for the content, send it there, and have it examined. The same content gets the same file."""
        fields = {"purpose": "fine-tune", "file_name": new.name, "file_type": "jsonl", "checksum": new.sha256}
        with self._errors():
            answer = self._json.post_form("/files", fields, accepted=(302, 409))
            if answer.status_code == 409:
                return self._existing(json_object(answer.json()).get("file_id"), new)
            url, file_id = answer.headers.get("location"), answer.headers.get("x-together-file-id")
            if not url or not file_id or not sanitize.is_id(file_id):
                raise ValueError("it names no place for the file")
        self._storage.put(url, new.content, new.bytes, {})
        with self._errors():
            return parsing.file(self._json.post(path("/files", file_id, "preprocess")))

    def _existing(self, file_id: object, new: NewFile) -> ProviderFile:
        """The file of the same content, perhaps another project's. One that is still being sent is waited for.

        Only what we have announced and never sent is deleted: it would be in the way for ever. Nobody else sends by the
        same name, so it is known of one at once.
        """
        if not sanitize.is_id(file_id):
            raise ValueError("it names no file")
        raw = json_object(self._json.get(path("/files", str(file_id))))
        file = parsing.file(raw)
        is_fresh = file.created_at is not None and file.created_at >= utc_now() - UPLOAD_GRACE
        is_ours = file.name.endswith(f"-{new.sha256[:12]}.jsonl")
        if file.bytes == new.bytes or not _is_unexamined(raw):
            return self._examined(raw)
        if file.name == new.name or (is_ours and not is_fresh):
            self._json.delete(path("/files", file.id))
            raise not_ready("An upload of the same content that ended half way was removed there")
        if is_fresh:
            raise not_ready("The same content is just being uploaded there")
        return self._examined(raw)

    def _examined(self, raw: dict[str, Any]) -> ProviderFile:
        """The file, whose examination is begun unless it has been: an upload may have ended before that."""
        file = parsing.file(raw)
        if not _is_unexamined(raw):
            return file
        try:
            return parsing.file(self._json.post(path("/files", file.id, "preprocess")))
        except ProviderError as error:
            if error.retryable:
                raise
            return file

    def find_file(self, name: str, size: int, since: datetime) -> ProviderFile | None:
        with self._errors():
            for raw in self._files():
                file = parsing.file(raw) if raw.get("filename") == name and raw.get("bytes") == size else None
                if file is not None and is_since(file.created_at, since - MAX_CLOCK_SKEW):
                    return self._examined(raw)
        return None

    def _files(self) -> Iterator[dict[str, Any]]:
        """Newest first, without the results of evaluations and batches."""
        found = [raw for raw in self._whole("/files") if raw.get("purpose") in ("fine-tune", None)]
        return iter(sorted(found, key=time_of, reverse=True))

    def _whole(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """A list, which has no pages."""
        return next(self._json.pages(path, **query))

    def file_name(self, file_id: str) -> str:
        if file_id.endswith(parsing.ADAPTER):
            return parsing.ADAPTER
        return super().file_name(file_id)

    def read_file(self, file_id: str) -> Iterator[bytes]:
        if file_id.endswith(parsing.CURVE):
            return iter([self._curve(file_id.removesuffix(parsing.CURVE))])
        if file_id.endswith(parsing.ADAPTER):
            return self._adapter(file_id.removesuffix(f".{parsing.ADAPTER}"))
        return super().read_file(file_id)

    def _adapter(self, provider_job_id: str) -> Iterator[bytes]:
        """Sent by the provider itself, or by its storage, which must not see the account's key."""
        query = {"ft_id": provider_job_id, "checkpoint": "adapter"}
        with self._errors():
            try:
                with self._json.stream("/finetune/download", query) as chunks:
                    yield from chunks
            except Redirected as elsewhere:
                yield from self._storage.read(elsewhere.url)

    def _curve(self, provider_job_id: str) -> bytes:
        """OpenAI's table of a job's metrics."""
        rows: dict[int, dict[str, Any]] = {}
        for event in events.series([], self._metrics(provider_job_id)):
            data = event.data or {}
            rows.setdefault(data["step"], {}).update(data)
        return b"".join(curve.table(rows.values()))

    def _check_file(self, file_id: str, param: str) -> None:
        """Raises `ProviderError`, after which nothing has been created, unless the file was found good there.

        One that is gone is uploaded again: somebody else may have deleted a file of the same content.
        """
        try:
            with self._errors():
                raw = json_object(self._json.get(path("/files", file_id)))
        except ProviderError as error:
            error.effect_unknown, error.retryable = False, error.retryable or error.status == 404
            raise
        state = raw.get("processing_status")
        if state in ("PENDING", "QUEUED", "RUNNING"):
            raise not_ready(f"The provider still examines {file_id}")
        if state in ("FAILED", "INVALID_FORMAT"):
            reason = sanitize.some_text(sanitize.part(raw, "validation_report").get("error"))
            raise refusal(400, reason or "The provider cannot use the file", f"invalid_{param}", param=param)

    def _metrics(self, provider_job_id: str) -> object:
        with self._errors():
            answer = self._json.get(path(JOBS, provider_job_id, "metrics"), {"resolution": MAX_METRICS})
            return json_object(answer).get("metrics")


def _is_unexamined(raw: dict[str, Any]) -> bool:
    return raw.get("processing_status") in (None, "PENDING")
