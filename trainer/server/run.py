"""A job as the server holds it: what is kept of it, its folder, and its log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.server.records import KeptRun
from trainer.server.store import TrainerStore
from wire_server.records import FINAL, Checkpoint, Job, JobError, JobEvent, new_id


class Run:
    def __init__(self, kept: KeptRun, folder: Path, store: TrainerStore) -> None:
        self.kept = kept
        self.folder = folder
        self._store = store
        self._began = (0.0, 0)  # when the present process began to train, and after which step

    @property
    def job(self) -> Job:
        return self.kept.job

    @property
    def checkpoints(self) -> Sequence[Checkpoint]:
        return self.kept.checkpoints

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
    def is_over(self) -> bool:
        return self.job.status in FINAL

    def events_page(self, after: str | None, limit: int) -> tuple[list[JobEvent], bool]:
        return self._store.events_page(self.job.id, after, limit)

    def add_event(
        self,
        now: float,
        message: str,
        *,
        level: str = "info",
        type: str = "message",
        data: dict[str, Any] | None = None,
    ) -> None:
        event = JobEvent(
            id=new_id("ftevent-"), created_at=int(now), level=level, message=message, type=type, data=data or {}
        )
        self._store.add_event(self.job.id, self.kept.n_events, event)
        self.kept.n_events += 1

    def begin_from(self, now: float, step: int) -> None:
        """The job trains from this step on; from here its speed is measured."""
        self._began = now, step

    def estimate(self, now: float) -> int | None:
        """When it will have finished, at the speed of the steps so far."""
        began, first = self._began
        done = self.kept.last_step - first
        if not began or done < 1:
            return None
        return int(now + (now - began) / done * (self.kept.total_steps - self.kept.last_step))

    def end(self, now: float, status: str, error: JobError | None = None) -> None:
        """Gives the job its final status."""
        assert status in FINAL
        self.job.status, self.job.error = status, error
        self.job.finished_at = int(now)
        self.job.estimated_finish = None

    def fail(self, now: float, error: JobError) -> None:
        """Ends the job with this error, and writes its message into an event."""
        self.end(now, "failed", error)
        self.add_event(now, error.message, level="error")
