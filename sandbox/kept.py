"""Keeps what a sandbox has in a folder, so that one that is killed goes on where it was.

Faults, counts and other levers of tests are not kept.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from sandbox.datasets.training_file import Dataset
from sandbox.records import Deployment, StoredFile, TunedModel
from sandbox.runs import Run
from sandbox.state import SandboxState
from sandbox.training import simulation
from wire_server.records import Checkpoint, Job, JobError, JobEvent
from wire_server.store import KeptUpload, Key, Store, kept_files, restore_files
from wire_server.training_file import Example

MAX_KEPT = {"file": 600, "upload": 100, "data": 200, "run": 200, "model": 600, "deployment": 200}
"""How many of each survive a restart; the oldest are forgotten."""


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


TYPES: dict[str, Any] = {
    "file": StoredFile,
    "upload": KeptUpload,
    "data": KeptData,
    "run": KeptRun,
    "model": TunedModel,
    "deployment": Deployment,
}


class Kept:
    """The state's rows in one SQLite file."""

    def __init__(self, path: Path) -> None:
        # Without waiting for the disk: what the kernel has survives a kill, and a power cut costs a sandbox little.
        self._store = Store(path, TYPES, durable=False)
        self._ended: set[str] = set()  # jobs whose last state is written

    def read(self, state: SandboxState) -> None:
        """Fill the empty state with the newest rows of each kind, and delete bytes to which none points."""
        found = {kind: self._store.read(kind, limit) for kind, limit in MAX_KEPT.items()}
        restore_files(state, found["file"], found["upload"])
        state.tuned |= found["model"]
        state.deployments |= found["deployment"]
        for id, run in found["run"].items():
            if id in found["data"]:
                state.runs[id] = _run(run, found["data"][id], state)

    def save(self, state: SandboxState) -> None:
        self._store.save(self._current(state))
        self._ended = {run.id for run in state.runs.values() if run.is_over}

    def _current(self, state: SandboxState) -> Iterator[tuple[Key, Any]]:
        yield from kept_files(state, self._store)
        for id, model in state.tuned.items():
            yield ("model", id), self._store.unless_written("model", id, model)
        for id, deployment in state.deployments.items():
            yield ("deployment", id), deployment
        for id, run in state.runs.items():
            data = KeptData(run.training, run.validation, run.inherited)
            yield ("data", id), self._store.unless_written("data", id, data)
            yield ("run", id), self._kept_run(run)

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


def _run(kept: KeptRun, data: KeptData, state: SandboxState) -> Run:
    run = Run(kept.job, kept.base, data.training, data.validation, kept.clock)
    run.inherited, run.armed_error, run.visible_at = data.inherited, kept.armed_error, kept.visible_at
    run.events, run.checkpoints, run.metrics = kept.events, kept.checkpoints, kept.metrics
    run.is_held, run.remaining = kept.is_held, kept.remaining
    simulation.go_on(run, state)
    return run
