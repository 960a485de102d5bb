"""What a provider on OpenAI's wire holds, and what an engine behind the wire has to do.

All routes are coroutines of one event loop, so no lock is needed as long as no change awaits before it is complete.
"""

import hmac
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.types import Scope

from wire_server.chat import ChatRequest, End, Piece
from wire_server.errors import ApiError
from wire_server.expiry import ExpiresAfter
from wire_server.job_requests import JobCreate
from wire_server.process.settings import Settings
from wire_server.records import Job, Model, StoredFile, TunedModel, Upload, UploadPart, new_id
from wire_server.run import Run
from wire_server.training_file import Contents

CLOSED_UPLOAD_SECONDS = 24 * 60 * 60
"""How long after its expiry it is still said of an upload how it was closed."""


class PendingUpload:
    """An upload, its parts by id, and the path of each part's bytes."""

    def __init__(self, upload: Upload, expires_after: ExpiresAfter | None) -> None:
        self.upload = upload
        self.expires_after = expires_after
        self.parts: dict[str, UploadPart] = {}
        self.paths: dict[str, Path] = {}
        self.is_joining = False

    def add(self, part: UploadPart, path: Path) -> None:
        self.parts[part.id], self.paths[part.id] = part, path

    @contextmanager
    def joining(self) -> Iterator[None]:
        """Meanwhile nothing else is done with the upload."""
        self.is_joining = True
        try:
            yield
        finally:
            self.is_joining = False


class State(ABC):
    """Files, uploads, jobs and models. Dictionaries keep the order of creation, which every list returns."""

    fingerprint: str
    """What chat answers carry as `system_fingerprint`."""
    runs: Mapping[str, Run]
    """Jobs by their ids."""
    tuned: Mapping[str, TunedModel]
    """Tuned models and checkpoints by their names."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.keep: Callable[[], None] = lambda: None
        """Writes what has changed."""
        self.flush: Callable[[Path], None] = lambda path: None
        """Waits until a new file is on the disk, before a row points to it, where power cuts must lose nothing."""
        self.unlink: Callable[[Path], None] = lambda path: path.unlink(missing_ok=True)
        """Deletes the bytes of a file, maybe many gigabytes; now or soon."""
        self._discarded: list[Path] = []
        self.files: dict[str, StoredFile] = {}
        self.uploads: dict[str, PendingUpload] = {}

    def knows_key(self, key: str) -> bool:
        """Whether it may ask."""
        return hmac.compare_digest(key.encode(), self.settings.api_key.encode())

    # What the engine holds.

    @abstractmethod
    def bases(self) -> Mapping[str, Model]:
        """Base models by each of their names."""

    def snapshot(self, name: str) -> str:
        """The full name behind an alias; any other name as it is."""
        return name

    file_status: str | None = "processed"
    """What a file says of itself."""

    def file_id(self) -> str:
        """The id of a new file."""
        return new_id("file-", 22)

    def job_id(self) -> str:
        """The id of a new job."""
        return new_id("ftjob-")

    # What the engine does.

    @abstractmethod
    def read_training_file(self, path: Path) -> Contents:
        """Checks and counts the examples of a file with the purpose `fine-tune`. Runs in a thread."""

    @abstractmethod
    async def create_job(self, new: JobCreate, scope: Scope) -> Run:
        """Raises ApiError for what is refused at once; bad files fail the job later, while it validates."""

    @abstractmethod
    def cancel(self, run: Any) -> None:
        """Cancels a job that has not ended."""

    @abstractmethod
    def pause(self, run: Any) -> None:
        """Pauses a running job."""

    @abstractmethod
    def resume(self, run: Any) -> None:
        """Queues a paused job again."""

    @abstractmethod
    def model_limits(self) -> dict[str, dict[str, int]]:
        """For each base model that can be tuned its slots, the slots in use, and the jobs per day."""

    @abstractmethod
    def delete_model(self, name: str) -> None:
        """Deletes a tuned model or a checkpoint's model."""

    @abstractmethod
    def reply(self, request: ChatRequest) -> AsyncIterator[Piece | End]:
        """The answer of an existing model, piece by piece, and its end. Raises ApiError before the first piece."""

    def advance(self) -> None:
        """Brings everything up to the present: files and uploads expire."""
        now = self.now()
        for pending in list(self.uploads.values()):
            self._advance_upload(pending, now)
        for stored in [stored for stored in self.files.values() if stored.has_expired(now)]:
            self.remove_file(stored)

    async def listed_jobs(self) -> Iterable[Job]:
        """The jobs of the list, oldest first."""
        return (run.job for run in self.runs.values())

    # What is the same behind every engine.

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def save(self) -> None:
        """Called before each answer. Bytes are only deleted once no row that is kept points to them."""
        self.keep()
        while self._discarded:
            self.unlink(self._discarded.pop())

    def remove_file(self, stored: StoredFile) -> None:
        """Deletes a file and its bytes. Jobs keep their own copy of the dataset, so they are not affected."""
        del self.files[stored.file.id]
        self._discarded.append(stored.path)

    def close_upload(self, pending: PendingUpload, status: str) -> None:
        """Gives the upload its final status (completed, cancelled or expired) and deletes its parts."""
        pending.upload.status = status
        self._discarded.extend(pending.paths.values())
        pending.parts, pending.paths = {}, {}

    def _advance_upload(self, pending: PendingUpload, now: float) -> None:
        upload = pending.upload
        if upload.status != "pending":
            if upload.expires_at + CLOSED_UPLOAD_SECONDS <= now:
                del self.uploads[upload.id]
        elif upload.expires_at <= now and not pending.is_joining:
            self.close_upload(pending, "expired")

    def new_path(self) -> Path:
        """A path that no other file has."""
        return self.folder / new_id("")

    @contextmanager
    def new_file(self) -> Iterator[Path]:
        """A path for bytes that a caller sends. They are deleted again if the block fails."""
        path = self.new_path()
        try:
            yield path
        except BaseException as error:
            self.unlink(path)
            if isinstance(error, OSError):
                message = f"The bytes cannot be kept: {error.strerror or error}."
                raise ApiError(500, message, type="server_error") from error
            raise


async def get_state(request: Request) -> State:
    """The dependency of all routes: the state, brought up to the present."""
    state = request.app.state.provider
    assert isinstance(state, State)
    state.advance()
    return state


StateDep = Annotated[State, Depends(get_state)]
