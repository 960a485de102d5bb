"""Holds the sandbox's whole state in memory, in one object that `POST /sandbox/reset` empties.

`sandbox.kept` writes it into a folder, if there is one.

All routes are coroutines of one event loop, so no lock is needed as long as no change awaits before it is complete.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from sandbox.expiry import ExpiresAfter
from sandbox.faults.armed import Fault
from sandbox.records import StoredFile, TunedModel, Upload, UploadPart, new_id
from sandbox.runs import Run
from sandbox.settings import Settings


class PendingUpload:
    """An upload, its parts by id, and the path of each part's bytes."""

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
        """Gives the upload its final status (completed, cancelled or expired) and deletes its parts."""
        self.upload.status = status
        for path in self.paths.values():
            path.unlink(missing_ok=True)


class State:
    """Files, uploads, jobs, models and faults. Dictionaries keep the order of creation, which every list returns."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.save: Callable[[], None] = lambda: None  # called before each answer
        self._empty()

    def forget(self) -> None:
        """Deletes everything."""
        for path in self.folder.iterdir():
            path.unlink()
        self._empty()

    def _empty(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.uploads: dict[str, PendingUpload] = {}
        self.runs: dict[str, Run] = {}
        self.models: dict[str, TunedModel] = {}
        self.faults: list[Fault] = []
        self.requests: Counter[str] = Counter()
        self.list_lag = 0.0
        self.receiver: object | None = None  # compared by identity: a loop of sandbox.webhooks ends when it changes

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def advance(self) -> None:
        """Brings jobs up to the present, and expires files and uploads."""
        now = self.now()
        for run in self.runs.values():
            run.advance(now)
        for pending in self.uploads.values():
            pending.expire(now)
        for stored in [stored for stored in self.files.values() if stored.has_expired(now)]:
            self.remove_file(stored)

    def remove_file(self, stored: StoredFile) -> None:
        """Deletes a file and its bytes. Jobs keep their own copy of the dataset, so they are not affected."""
        del self.files[stored.file.id]
        stored.path.unlink(missing_ok=True)

    def new_path(self) -> Path:
        """A path that no other file has."""
        return self.folder / new_id("")


async def get_state(request: Request) -> State:
    """The dependency of all routes: the state, brought up to the present."""
    state = request.app.state.sandbox
    assert isinstance(state, State)
    state.advance()
    return state


StateDep = Annotated[State, Depends(get_state)]
