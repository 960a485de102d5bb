"""Everything the sandbox remembers, in one object that `POST /sandbox/reset` can empty.

All routes are coroutines of one event loop: nothing here needs a lock while nobody awaits halfway through a change.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from sandbox.expiry import ExpiresAfter
from sandbox.faults.armed import Fault
from sandbox.records import StoredFile, TunedModel, Upload, UploadPart, new_id
from sandbox.runs import Run
from sandbox.settings import Settings


class PendingUpload:
    """An upload, its parts by id, and where the bytes of each lie."""

    def __init__(self, upload: Upload, expires_after: ExpiresAfter | None) -> None:
        self.upload = upload
        self.expires_after = expires_after
        self.parts: dict[str, UploadPart] = {}
        self.paths: dict[str, Path] = {}

    def add(self, part: UploadPart, path: Path) -> None:
        self.parts[part.id], self.paths[part.id] = part, path

    def expire(self, now: float) -> None:
        if self.upload.status == "pending" and self.upload.expires_at <= now:
            self.close("expired")

    def close(self, status: str) -> None:
        """No more parts: the upload is completed, cancelled or expired, and its parts are deleted."""
        self.upload.status = status
        for path in self.paths.values():
            path.unlink(missing_ok=True)


class State:
    """The sandbox's memory. Dictionaries keep the order of creation, which is the order of every list."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.forget()

    def forget(self) -> None:
        """Begin anew: as after a restart, without one."""
        for path in self.folder.iterdir():
            path.unlink()
        self.files: dict[str, StoredFile] = {}
        self.uploads: dict[str, PendingUpload] = {}
        self.runs: dict[str, Run] = {}
        self.models: dict[str, TunedModel] = {}
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        self.list_lag = 0.0
        self.receiver: object | None = None

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def advance(self) -> None:
        """Let everything happen that is due by now: jobs go on, files and uploads expire."""
        now = self.now()
        for run in self.runs.values():
            run.advance(now)
        for pending in self.uploads.values():
            pending.expire(now)
        for stored in [stored for stored in self.files.values() if stored.has_expired(now)]:
            self.remove_file(stored)

    def remove_file(self, stored: StoredFile) -> None:
        """Forget a file and delete its bytes. A job that was made from it remembers what it needs."""
        del self.files[stored.file.id]
        stored.path.unlink(missing_ok=True)

    def new_path(self) -> Path:
        """A place for bytes that no other file takes."""
        return self.folder / new_id("")


async def get_state(request: Request) -> State:
    """The state as it is now, for a route."""
    state = request.app.state.sandbox
    assert isinstance(state, State)
    state.advance()
    return state


StateDep = Annotated[State, Depends(get_state)]
