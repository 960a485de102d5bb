"""The trainer's SQLite file: the rows of every provider on the wire, and a table of events, which are only added."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from trainer.server.records import KeptRun, TunedModel
from wire_server.errors import ApiError
from wire_server.records import FINAL, JobEvent, StoredFile
from wire_server.state import State
from wire_server.store import KeptUpload, Key, Store, kept_files, restore_files

TYPES: dict[str, Any] = {"file": StoredFile, "upload": KeptUpload, "run": KeptRun, "model": TunedModel}
NEW_EVENT = "insert into events values (?, ?, ?, ?)"


class TrainerStore:
    """Writes what has changed in one transaction, new events included."""

    def __init__(self, path: Path) -> None:
        self._store = Store(path, TYPES, durable=True)
        self._store.database.execute(
            "create table if not exists events"
            " (job text, number integer, id text, body blob, primary key (job, number))"
        )
        self._new: list[tuple[str, int, str, bytes]] = []
        self._ended: set[str] = set()  # jobs whose last state is written

    def close(self) -> None:
        self._store.database.close()

    def restore(self, state: State) -> tuple[dict[str, KeptRun], dict[str, TunedModel]]:
        """Jobs and tuned models of before; files and uploads are put into the state."""
        restore_files(state, self._store.read("file"), self._store.read("upload"))
        return self._store.read("run"), self._store.read("model")

    def add_event(self, job_id: str, number: int, event: JobEvent) -> None:
        self._new.append((job_id, number, event.id, msgspec.msgpack.encode(event)))

    def save(self, state: State, runs: Iterable[tuple[str, KeptRun]], models: dict[str, TunedModel]) -> None:
        listed = list(runs)
        self._store.save(self._current(state, listed, models), [(NEW_EVENT, row) for row in self._new])
        self._new.clear()
        self._ended = {id for id, run in listed if run.job.status in FINAL and not run.in_cluster}

    def _current(
        self, state: State, runs: list[tuple[str, KeptRun]], models: dict[str, TunedModel]
    ) -> Iterator[tuple[Key, Any]]:
        yield from kept_files(state, self._store)
        for name, model in models.items():
            yield ("model", name), self._store.unless_written("model", name, model)
        for id, run in runs:
            yield ("run", id), None if id in self._ended else run

    def events_page(self, job_id: str, after: str | None, limit: int) -> tuple[list[JobEvent], bool]:
        """Events, newest first, and whether older ones follow. Raises ApiError 400 for an unknown cursor."""
        before = self._number(job_id, after) if after else 1 << 62
        query = "select body from events where job = ? and number < ? order by number desc limit ?"
        rows = self._store.database.execute(query, (job_id, before, limit + 1)).fetchall()
        return _events(rows[:limit]), len(rows) > limit

    def metrics(self, job_id: str) -> list[JobEvent]:
        """All metrics events, oldest first."""
        query = "select body from events where job = ? order by number"
        written = _events(self._store.database.execute(query, (job_id,)))
        new = _events((body,) for job, _, _, body in self._new if job == job_id)
        return [event for event in (*written, *new) if event.type == "metrics"]

    def _number(self, job_id: str, event_id: str) -> int:
        query = "select number from events where job = ? and id = ?"
        row = self._store.database.execute(query, (job_id, event_id)).fetchone()
        if row is None:
            raise ApiError(400, f"No item of this list has the id '{event_id}'.", code="invalid_value", param="after")
        return int(row[0])


def _events(rows: Iterable[Sequence[Any]]) -> list[JobEvent]:
    return [msgspec.msgpack.decode(row[0], type=JobEvent) for row in rows]
