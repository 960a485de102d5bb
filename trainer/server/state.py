"""What the trainer holds: jobs and tuned models, kept in the folder beside files and uploads."""

import logging
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from trainer import bases, disk
from trainer.bases import Base
from trainer.server import job_folder
from trainer.server.records import TunedModel
from trainer.server.run import Run
from trainer.server.settings import Settings
from trainer.server.store import TrainerStore
from wire_server.records import Job
from wire_server.state import State

log = logging.getLogger("trainer")


def _remove_unknown(folder: Path, known: Collection[str]) -> None:
    """Folders of jobs whose creation was broken off before it was kept. What has trained stays, whatever the rows say:
    somebody may have put an older copy of them back."""
    for path in folder.glob("ftjob-*"):
        if path.name in known:
            continue
        if (path / job_folder.LINES).exists():
            log.warning("%s is the folder of a job that %s does not know: it is left alone", path, "state.db")
        else:
            shutil.rmtree(path, ignore_errors=True)


class TrainerState(State):
    """What is done with it: `trainer.server.engine.Trainer`."""

    settings: Settings
    runs: dict[str, Run]
    tuned: dict[str, TunedModel]

    def __init__(self, settings: Settings, store: TrainerStore) -> None:
        super().__init__(settings, settings.path / "files")
        self.store = store
        kept, self.tuned = store.restore(self)
        self.runs = {id: Run(run, self.job_folder(id), store) for id, run in kept.items()}
        for model in self.tuned.values():  # the trainer's folder may have been moved
            model.folder = str(self.job_folder(model.job_id) / Path(model.folder).name)
        _remove_unknown(settings.path / "jobs", self.runs)
        self.keep, self.flush = self._keep, disk.flush_named

    def _keep(self) -> None:
        self.store.save(self, ((id, run.kept) for id, run in self.runs.items()), self.tuned)

    def job_folder(self, job_id: str) -> Path:
        return self.settings.path / "jobs" / job_id

    def jobs_of(self, base: str) -> Iterator[Job]:
        return (run.job for run in self.runs.values() if run.base == base)

    def bases_by_name(self) -> dict[str, Base]:
        """Read anew, so that a base that was added is there at once."""
        return {base.name: base for base in bases.listed(self.settings.path)}
