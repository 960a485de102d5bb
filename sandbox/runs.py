"""Runs the script of each job. Nothing runs in the background: jobs catch up with the clock before each request."""

import math
from collections.abc import Iterator
from typing import Any

from sandbox.datasets.training_file import Dataset
from wire_server import run
from wire_server.pages import cut
from wire_server.records import Job, JobError, JobEvent
from wire_server.training_file import Example

Script = Iterator[float]
"""A generator that changes a job step by step; it yields the seconds until its next step, at speed 1."""


class Run(run.Run):
    """A job with its datasets, events, checkpoints and script. `due` is the Unix time of the next step, or infinity."""

    def __init__(self, job: Job, base: str, training: Dataset, validation: Dataset | None, now: float) -> None:
        super().__init__(job, base, [])
        self.training = training
        self.validation = validation
        self.inherited: tuple[Example, ...] = ()
        self.armed_error: JobError | None = None
        self.visible_at = now
        self.events: list[JobEvent] = []
        self.metrics: list[dict[str, Any]] = []
        self.is_held = False
        self.clock = self.due = now
        self.remaining = 0.0
        self._script: Script = iter(())
        self._slowness = math.inf

    def now(self) -> float:
        return self.clock

    @property
    def last_step(self) -> int:
        """The last training step with metrics; 0 before the first."""
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    def events_page(self, after: str | None, limit: int) -> tuple[list[JobEvent], bool]:
        return cut(self.events[::-1], after, limit)

    def keep_event(self, event: JobEvent) -> None:
        self.events.append(event)

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

    def stop_clock(self, now: float) -> None:
        self.remaining = max(0.0, self.due - now) / self._slowness if math.isfinite(self._slowness) else 0.0
        self.clock, self.due = now, math.inf

    def run_again(self, first: Script, now: float) -> None:
        """Runs the script `first`, then continues where the job was paused."""
        self.clock = now
        self._script = _chained(first, self.remaining, self._script)
        self._step()

    def end(self, status: str, error: JobError | None = None) -> None:
        """Gives the job its final status and ends its script."""
        self._script, self.due = iter(()), math.inf
        super().end(status, error)

    def _step(self) -> None:
        wait = next(self._script, None)
        self.due = math.inf if wait is None else self.after(wait)


def _chained(first: Script, remaining: float, rest: Script) -> Script:
    yield from first
    yield remaining
    yield from rest
