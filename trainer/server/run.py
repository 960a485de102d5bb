"""A job as the server holds it: what is kept of it, its folder, and its log."""

import time
from pathlib import Path

from trainer.server.records import KeptRun
from trainer.server.store import TrainerStore
from wire_server import run
from wire_server.records import JobEvent


class Run(run.Run):
    def __init__(self, kept: KeptRun, folder: Path, store: TrainerStore) -> None:
        super().__init__(kept.job, kept.base, kept.checkpoints)
        self.kept = kept
        self.folder = folder
        self._store = store
        self._began = (0.0, 0)  # when the present process began to train, and after which step

    def now(self) -> float:
        return time.time()

    def events_page(self, after: str | None, limit: int) -> tuple[list[JobEvent], bool]:
        return self._store.events_page(self.id, after, limit)

    def keep_event(self, event: JobEvent) -> None:
        self._store.add_event(self.id, self.kept.n_events, event)
        self.kept.n_events += 1

    def begin_from(self, step: int) -> None:
        """The job trains from this step on; from here its speed is measured."""
        self._began = self.now(), step

    def estimate(self) -> int | None:
        """When it will have finished, at the speed of the steps so far."""
        now, (began, first) = self.now(), self._began
        done = self.kept.last_step - first
        if not began or done < 1:
            return None
        return int(now + (now - began) / done * (self.kept.total_steps - self.kept.last_step))
