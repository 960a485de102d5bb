"""A job together with its life: nothing runs in the background, a job catches up with the time when it is asked for."""

import math
from collections.abc import Iterator
from typing import Any

from sandbox.records import FINAL, Checkpoint, Job, JobError, JobEvent, new_id
from sandbox.training_file import Dataset, Example

Life = Iterator[float]
"""A job's life as a generator: what happens, and between two things the seconds until the next one, at speed 1."""


class Run:
    """A job, what it was made from, what happened to it, and when the next thing is due (Unix time, or infinity)."""

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
        self._life: Life = iter(())
        self._pace = math.inf

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def method(self) -> str:
        return str(self.job.method["type"])

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The method's own, as the wire shows them; numbers once the files are validated."""
        values = self.job.method[self.method]["hyperparameters"]
        assert isinstance(values, dict)
        return values

    @property
    def last_step(self) -> int:
        """The training step that was told of last; 0 before the first."""
        return int(self.metrics[-1]["step"]) if self.metrics else 0

    def begin(self, life: Life, speed: float) -> None:
        """Start to live. At speed 0 nothing is ever due."""
        self._life = life
        self._pace = 1 / speed if speed > 0 else math.inf
        self._step()

    def advance(self, now: float) -> None:
        """Live on until now, each thing at the time it was due."""
        while self.due <= now and not self.is_held:
            self.clock = self.due
            self._step()

    def hurry(self, now: float) -> None:
        """Let the next thing happen at once, due or not."""
        self.clock = now
        self._step()

    def after(self, seconds: float) -> float:
        """The Unix time when that many of the job's own seconds have passed."""
        return self.clock + seconds * self._pace

    def pause(self, now: float) -> None:
        self.remaining = max(0.0, self.due - now) / self._pace if math.isfinite(self._pace) else 0.0
        self.clock, self.due = now, math.inf

    def resume(self, first: Life, now: float) -> None:
        """Go on where the run was paused, after something that comes first."""
        self.clock = now
        self._life = _chained(first, self.remaining, self._life)
        self._step()

    def end(self, status: str, error: JobError | None = None) -> None:
        """Give the job its final status; nothing happens to it any more."""
        assert status in FINAL
        self._life = iter(())
        self.due, self.is_over = math.inf, True
        self.job.status, self.job.error = status, error
        self.job.finished_at = int(self.clock)
        self.job.estimated_finish = None

    def tell(
        self, message: str, *, level: str = "info", type: str = "message", data: dict[str, Any] | None = None
    ) -> None:
        event = JobEvent(
            id=new_id("ftevent-"), created_at=int(self.clock), level=level, message=message, type=type, data=data
        )
        self.events.append(event)

    def _step(self) -> None:
        wait = next(self._life, None)
        self.is_over = wait is None
        self.due = math.inf if wait is None else self.after(wait)


def _chained(first: Life, remaining: float, rest: Life) -> Life:
    yield from first
    yield remaining
    yield from rest
