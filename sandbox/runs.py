"""Runs the script of each job. Nothing runs in the background: jobs catch up with the clock before each request."""

import math
from collections.abc import Iterator
from typing import Any

from sandbox.datasets.training_file import Dataset
from wire_server.pages import cut
from wire_server.records import FINAL, Checkpoint, Job, JobError, JobEvent, new_id
from wire_server.training_file import Example

Script = Iterator[float]
"""A generator that changes a job step by step; it yields the seconds until its next step, at speed 1."""


class Run:
    """A job with its datasets, events, checkpoints and script. `due` is the Unix time of the next step, or infinity."""

    def __init__(self, job: Job, base: str, training: Dataset, validation: Dataset | None, now: float) -> None:
        self.job = job
        self.base = base
        self.training = training
        self.validation = validation
        self.inherited: tuple[Example, ...] = ()
        self.armed_error: JobError | None = None
        self.visible_at = now
        self.events: list[JobEvent] = []
        self.checkpoints: list[Checkpoint] = []
        self.metrics: list[dict[str, Any]] = []
        self.is_held = False
        self.is_over = False
        self.clock = self.due = now
        self.remaining = 0.0
        self._script: Script = iter(())
        self._slowness = math.inf

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def method(self) -> str:
        return str(self.job.method["type"])

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The method's hyperparameters as the wire shows them; numbers once the files are validated."""
        values = self.job.method[self.method]["hyperparameters"]
        assert isinstance(values, dict)
        return values

    @property
    def last_step(self) -> int:
        """The last training step with metrics; 0 before the first."""
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    def events_page(self, after: str | None, limit: int) -> tuple[list[JobEvent], bool]:
        return cut(self.events[::-1], after, limit)

    def begin(self, script: Script, speed: float) -> None:
        """Starts the script. At speed 0 nothing is ever due."""
        self._script = script
        self._slowness = 1 / speed if speed > 0 else math.inf
        self._step()

    def go_on(self, script: Script, speed: float) -> None:
        """Continues after a restart. `script` does what is left, and `clock` is the time of the last step."""
        self.begin(script, speed)
        if self.job.status == "paused":  # its script waits within a step
            self.due = math.inf

    def advance(self, now: float) -> None:
        """Runs all steps that are due by `now`, each with `clock` at its due time."""
        while self.due <= now and not self.is_held:
            self.clock = self.due
            self._step()

    def hurry(self, now: float) -> None:
        """Runs the next step now, due or not."""
        self.clock = now
        self._step()

    def after(self, seconds: float) -> float:
        """The Unix time after that many seconds of the script, at the job's speed."""
        return self.clock + seconds * self._slowness

    def pause(self, now: float) -> None:
        self.remaining = max(0.0, self.due - now) / self._slowness if math.isfinite(self._slowness) else 0.0
        self.clock, self.due = now, math.inf

    def resume(self, first: Script, now: float) -> None:
        """Runs the script `first`, then continues where the job was paused."""
        self.clock = now
        self._script = _chained(first, self.remaining, self._script)
        self._step()

    def end(self, status: str, error: JobError | None = None) -> None:
        """Gives the job its final status and ends its script."""
        assert status in FINAL
        self._script = iter(())
        self.due, self.is_over = math.inf, True
        self.job.status, self.job.error = status, error
        self.job.finished_at = int(self.clock)
        self.job.estimated_finish = None

    def add_event(
        self, message: str, *, level: str = "info", type: str = "message", data: dict[str, Any] | None = None
    ) -> None:
        event = JobEvent(
            id=new_id("ftevent-"), created_at=int(self.clock), level=level, message=message, type=type, data=data
        )
        self.events.append(event)

    def _step(self) -> None:
        wait = next(self._script, None)
        self.is_over = wait is None
        self.due = math.inf if wait is None else self.after(wait)


def _chained(first: Script, remaining: float, rest: Script) -> Script:
    yield from first
    yield remaining
    yield from rest
