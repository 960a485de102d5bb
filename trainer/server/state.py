"""What the trainer holds: jobs and tuned models, kept in the folder beside files and uploads."""

import asyncio
import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


def _unknown(folder: Path, known: Collection[str]) -> Iterator[Path]:
    """Folders of jobs whose creation was broken off before it was kept. What has trained stays, whatever the rows say:
    somebody may have put an older copy of them back."""
    for path in folder.glob("ftjob-*"):
        if path.name in known:
            continue
        if (path / job_folder.LINES).exists():
            log.warning("%s is the folder of a job that %s does not know: it is left alone", path, "state.db")
        else:
            yield path


def _remove(removal: Callable[..., None], path: Path, arguments: Iterable[object]) -> None:
    try:
        removal(path, *arguments)
    except OSError as error:
        log.warning("%s cannot be removed or tidied: %s", path, error)


class TrainerState(State):
    """What is done with it: `trainer.server.engine.Trainer`."""

    settings: Settings
    runs: dict[str, Run]
    tuned: dict[str, TunedModel]

    def __init__(self, settings: Settings, store: TrainerStore) -> None:
        super().__init__(settings, settings.path / "files")
        self._removals = ThreadPoolExecutor(1, "removals")
        self._being_made: dict[str, tuple[Run, asyncio.Event]] = {}
        self.store = store
        kept, self.tuned = store.restore(self)
        self.runs = {id: Run(run, self.job_folder(id), store) for id, run in kept.items()}
        for model in self.tuned.values():  # the trainer's folder may have been moved
            model.folder = str(self.job_folder(model.job_id) / Path(model.folder).name)
        for path in _unknown(settings.path / "jobs", self.runs):
            self.remove_folder(path)
        self.keep, self.flush, self.unlink = self._keep, disk.flush_named, self._unlink

    def _keep(self) -> None:
        self.store.save(self, ((id, run.kept) for id, run in self.runs.items()), self.tuned)

    def job_folder(self, job_id: str) -> Path:
        return self.settings.path / "jobs" / job_id

    def jobs_of(self, base: str) -> Iterator[Job]:
        being_made = (run for run, _ in self._being_made.values())
        return (run.job for run in (*self.runs.values(), *being_made) if run.base == base)

    async def listed_jobs(self) -> Iterable[Job]:
        """Waits for those that are being made: who lost the answer of a create looks here, and would create it anew."""
        for _, is_made in list(self._being_made.values()):
            await is_made.wait()
        return await super().listed_jobs()

    @contextmanager
    def making(self, run: Run) -> Iterator[None]:
        """The new job is there at the end of the block. Meanwhile it counts."""
        is_made = asyncio.Event()
        self._being_made[run.id] = run, is_made
        try:
            yield
            self.runs[run.id] = run
        finally:
            del self._being_made[run.id]
            is_made.set()

    def remove_later(self, removal: Callable[..., None], path: Path, *arguments: object) -> None:
        """Calls `removal` in a thread, one after the other: many gigabytes take seconds, in which everybody else would
        wait. What the end of the process leaves is removed at the next start."""
        self._removals.submit(_remove, removal, path, arguments)

    def remove_folder(self, path: Path) -> None:
        self.remove_later(shutil.rmtree, path, True)  # whatever is left, or gone already, is no error

    def _unlink(self, path: Path) -> None:
        self.remove_later(Path.unlink, path, True)

    def stop_removing(self) -> None:
        """After what is being removed now."""
        self._removals.shutdown(wait=False, cancel_futures=True)

    def bases_by_name(self) -> dict[str, Base]:
        """Read anew, so that a base that was added is there at once."""
        return {base.name: base for base in bases.listed(self.settings.path)}
