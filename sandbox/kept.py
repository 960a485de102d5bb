"""Keeps files, uploads, jobs and models in a folder, so that a sandbox that is killed goes on where it was.

A row of a SQLite table for each of them. What has changed is written in one transaction before an answer is sent, so
whatever a client was told is there after a `kill -9`. Faults, counts and other levers of tests are not kept.
"""

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sandbox.datasets.training_file import Dataset, Example
from sandbox.expiry import ExpiresAfter
from sandbox.records import FINAL, Checkpoint, Job, JobError, JobEvent, StoredFile, TunedModel, Upload, UploadPart
from sandbox.runs import Run
from sandbox.state import PendingUpload, State
from sandbox.training import simulation

MAX_KEPT = {"file": 600, "upload": 100, "data": 200, "run": 200, "model": 600}
"""How many of each survive a restart; the oldest are forgotten."""

log = logging.getLogger("sandbox")
Key = tuple[str, str]


class KeptData(Struct):
    """What never changes of a job, and may be large."""

    training: Dataset
    validation: Dataset | None
    inherited: tuple[Example, ...]


class KeptRun(Struct):
    """What changes of a job while it runs."""

    job: Job
    base: str
    armed_error: JobError | None
    visible_at: float
    events: list[JobEvent]
    checkpoints: list[Checkpoint]
    metrics: list[dict[str, Any]]
    is_held: bool
    clock: float
    remaining: float


class KeptUpload(Struct):
    upload: Upload
    expires_seconds: int | None
    parts: dict[str, UploadPart]
    paths: dict[str, Path]


TYPES: dict[str, Any] = {
    "file": StoredFile,
    "upload": KeptUpload,
    "data": KeptData,
    "run": KeptRun,
    "model": TunedModel,
}


class Store:
    """The table of one folder."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        # Without waiting for the disk: what the kernel has survives a kill, and a power cut costs a sandbox little.
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.execute(
            "create table if not exists kept (kind text, id text, body blob, primary key (kind, id))"
        )
        self._written: dict[Key, int] = {}  # the hash of each row's body
        self._ended: set[str] = set()  # jobs whose last state is written

    def read(self, state: State) -> None:
        """Fill the empty state with the newest rows of each kind, and delete bytes to which none points."""
        found = {kind: dict(self._rows(kind, limit)) for kind, limit in MAX_KEPT.items()}
        for id, stored in found["file"].items():
            state.files[id] = stored
        for id, upload in found["upload"].items():
            state.uploads[id] = _pending(upload)
        state.models |= found["model"]
        for id, run in found["run"].items():
            if id in found["data"]:
                state.runs[id] = _run(run, found["data"][id], state)
        paths = {stored.path for stored in state.files.values()}
        paths |= {path for pending in state.uploads.values() for path in pending.paths.values()}
        for path in set(state.folder.iterdir()) - paths:
            path.unlink()

    def _rows(self, kind: str, limit: int) -> list[tuple[str, Any]]:
        rows = self._database.execute("select id, body from kept where kind = ? order by rowid", (kind,)).fetchall()
        self._written |= {(kind, id): hash(body) for id, body in rows}
        return [
            (id, msgspec.msgpack.decode(body, type=TYPES[kind], dec_hook=lambda _, text: Path(text)))
            for id, body in rows[-limit:]
        ]

    def save(self, state: State) -> None:
        """Write what is new or has changed since the last time, and delete what is gone."""
        current = dict(self._current(state))
        bodies = {
            key: msgspec.msgpack.encode(value, enc_hook=str) for key, value in current.items() if value is not None
        }
        changed = {key: body for key, body in bodies.items() if self._written.get(key) != hash(body)}
        gone = self._written.keys() - current.keys()
        if not changed and not gone:
            return
        upsert = "insert into kept values (?, ?, ?) on conflict (kind, id) do update set body = excluded.body"
        with self._database:
            self._database.execute("begin")
            self._database.executemany(upsert, [(*key, body) for key, body in changed.items()])
            self._database.executemany("delete from kept where kind = ? and id = ?", list(gone))
        self._written |= {key: hash(body) for key, body in changed.items()}
        for key in gone:
            del self._written[key]
        self._ended = {run.id for run in state.runs.values() if run.job.status in FINAL}

    def _current(self, state: State) -> Iterator[tuple[Key, Any]]:
        """Each row there is to be; None for one that is written and cannot have changed."""
        for id, stored in state.files.items():
            yield ("file", id), self._unless_written("file", id, stored)
        for id, model in state.models.items():
            yield ("model", id), self._unless_written("model", id, model)
        for id, pending in state.uploads.items():
            yield ("upload", id), _kept_upload(pending)
        for id, run in state.runs.items():
            data = KeptData(run.training, run.validation, run.inherited)
            yield ("data", id), self._unless_written("data", id, data)
            yield ("run", id), self._kept_run(run)

    def _unless_written(self, kind: str, id: str, value: Any) -> Any:
        return None if (kind, id) in self._written else value

    def _kept_run(self, run: Run) -> KeptRun | None:
        if run.id in self._ended:
            return None
        return KeptRun(
            job=run.job,
            base=run.base,
            armed_error=run.armed_error,
            visible_at=run.visible_at,
            events=run.events,
            checkpoints=run.checkpoints,
            metrics=run.metrics,
            is_held=run.is_held,
            clock=run.clock,
            remaining=run.remaining,
        )


def _kept_upload(pending: PendingUpload) -> KeptUpload:
    seconds = pending.expires_after.seconds if pending.expires_after else None
    return KeptUpload(pending.upload, seconds, pending.parts, pending.paths)


def _pending(kept: KeptUpload) -> PendingUpload:
    expiry = ExpiresAfter(anchor="created_at", seconds=kept.expires_seconds) if kept.expires_seconds else None
    pending = PendingUpload(kept.upload, expiry)
    pending.parts, pending.paths = kept.parts, kept.paths
    return pending


def _run(kept: KeptRun, data: KeptData, state: State) -> Run:
    run = Run(kept.job, kept.base, data.training, data.validation, kept.clock)
    run.inherited, run.armed_error, run.visible_at = data.inherited, kept.armed_error, kept.visible_at
    run.events, run.checkpoints, run.metrics = kept.events, kept.checkpoints, kept.metrics
    run.is_held, run.remaining = kept.is_held, kept.remaining
    simulation.go_on(run, state)
    return run
