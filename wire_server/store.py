"""A SQLite file that holds one row for each kept object, so that a provider that is killed goes on where it was.

What has changed is written in one transaction before an answer is sent, so whatever a client was told is there after a
`kill -9`.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from wire_server.expiry import ExpiresAfter
from wire_server.records import StoredFile, Upload, UploadPart
from wire_server.state import PendingUpload, State

Key = tuple[str, str]
"""The kind of an object, and its id."""

UPSERT = "insert into kept values (?, ?, ?) on conflict (kind, id) do update set body = excluded.body"


class KeptUpload(Struct):
    upload: Upload
    expires_seconds: int | None
    parts: dict[str, UploadPart]
    paths: dict[str, Path]


class Store:
    """The table of one file. `types`: the type of each kind's objects, msgspec's or ours.

    `durable`: each transaction waits for the disk, so that a power cut loses nothing either.
    """

    def __init__(self, path: Path, types: Mapping[str, Any], *, durable: bool) -> None:
        self._types = types
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("pragma journal_mode = wal")
        self.database.execute(f"pragma synchronous = {'full' if durable else 'off'}")
        self.database.execute("create table if not exists kept (kind text, id text, body blob, primary key (kind, id))")
        self._written: dict[Key, int] = {}  # the hash of each row's body

    def read(self, kind: str, limit: int = -1) -> dict[str, Any]:
        """The newest objects of this kind by their ids, oldest first. With -1 all."""
        newest = "select rowid, id, body from kept where kind = ? order by rowid desc limit ?"
        rows = self.database.execute(f"select id, body from ({newest}) order by rowid", (kind, limit)).fetchall()
        self._written |= {(kind, id): hash(body) for id, body in rows}
        return {
            id: msgspec.msgpack.decode(body, type=self._types[kind], dec_hook=lambda _, text: Path(text))
            for id, body in rows
        }

    def unless_written(self, kind: str, id: str, value: Any) -> Any:
        """`value`, or None if it is written: for objects that never change."""
        return None if (kind, id) in self._written else value

    def save(self, current: Iterable[tuple[Key, Any]], statements: Sequence[tuple[str, Sequence[Any]]] = ()) -> None:
        """Write what is new or has changed since the last time, and delete what is gone.

        `current`: each object there is to be; None for one that is written and cannot have changed. `statements`: SQL
        with parameters that belongs to the same transaction.
        """
        objects = dict(current)
        bodies = {
            key: msgspec.msgpack.encode(value, enc_hook=str) for key, value in objects.items() if value is not None
        }
        changed = {key: body for key, body in bodies.items() if self._written.get(key) != hash(body)}
        gone = self._written.keys() - objects.keys()
        if not changed and not gone and not statements:
            return
        with self.database:
            self.database.execute("begin")
            self.database.executemany(UPSERT, [(*key, body) for key, body in changed.items()])
            for sql, parameters in statements:
                self.database.execute(sql, parameters)
            self.database.executemany("delete from kept where kind = ? and id = ?", list(gone))
        self._written |= {key: hash(body) for key, body in changed.items()}
        for key in gone:
            del self._written[key]


def kept_files(state: State, store: Store) -> Iterable[tuple[Key, Any]]:
    """What is to be kept of files and uploads."""
    for id, stored in state.files.items():
        yield ("file", id), store.unless_written("file", id, stored)
    for id, pending in state.uploads.items():
        yield ("upload", id), _kept_upload(pending)


def restore_files(state: State, files: Mapping[str, StoredFile], uploads: Mapping[str, KeptUpload]) -> None:
    """Puts files and uploads back into the empty state, and deletes bytes to which none points.

    The bytes lie in the state's folder, wherever that was when they were written: it may have been moved.
    """
    for stored in files.values():
        stored.path = state.folder / stored.path.name
    for upload in uploads.values():
        upload.paths = {id: state.folder / path.name for id, path in upload.paths.items()}
    state.files |= {id: stored for id, stored in files.items() if stored.path.exists()}
    state.uploads |= {id: _pending(upload) for id, upload in uploads.items()}
    names = {stored.path.name for stored in state.files.values()}
    names |= {path.name for pending in state.uploads.values() for path in pending.paths.values()}
    for path in state.folder.iterdir():
        if path.name not in names:
            path.unlink()


def _kept_upload(pending: PendingUpload) -> KeptUpload:
    seconds = pending.expires_after.seconds if pending.expires_after else None
    return KeptUpload(pending.upload, seconds, pending.parts, pending.paths)


def _pending(kept: KeptUpload) -> PendingUpload:
    expiry = ExpiresAfter(anchor="created_at", seconds=kept.expires_seconds) if kept.expires_seconds else None
    pending = PendingUpload(kept.upload, expiry)
    pending.parts, pending.paths = kept.parts, kept.paths
    return pending
