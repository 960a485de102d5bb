"""Runs jobs in their processes: one for each slot, the oldest job first; what a process tells is kept at once."""

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any

from trainer.server import job_folder, progress, setbacks
from trainer.server.hyperparameters import automatic, decide
from trainer.server.processes.protocol import KILLED, PAUSED, Ended, JobProcess, Machines
from trainer.server.run import Run
from trainer.server.state import TrainerState
from wire_server.job_files import first_problem

log = logging.getLogger("trainer")

BUSY_SECONDS, IDLE_SECONDS = 0.2, 2.0
"""Between two looks at the processes."""
UNREAD_SECONDS = 30
"""Between two tries to keep what a process has told."""
SHUTDOWN_SECONDS = 60


class Runner:
    def __init__(self, state: TrainerState, machines: Machines) -> None:
        self.state = state
        self.machines = machines
        self.slots = machines.slots
        self._processes: dict[str, tuple[JobProcess, str]] = {}
        self._ended: dict[str, Ended] = {}
        """Processes that have ended, but not all that they told is kept yet."""
        self._try_again: dict[str, float] = {}
        """When what a process told is read again, after it could not be kept."""
        self._start_at: dict[str, float] = {}
        """When a job is started again whose process was lost."""
        self._wake = asyncio.Event()
        self._is_stopping = False

    def wake(self) -> None:
        """Look at the jobs now."""
        self._wake.set()

    def cancel(self, run: Run) -> None:
        """The job is over already; its process leaves, and what only it needed goes."""
        if process := self._processes.get(run.id):
            process[0].ask_to_cancel()
        else:
            self.state.save()  # what goes now is no longer needed only once that is kept
            self._tidy(run)

    def pause(self, run: Run) -> None:
        if process := self._processes.get(run.id):
            process[0].ask_to_pause()

    async def work(self) -> None:
        """Until it is stopped: then every process saves a checkpoint and leaves. What fails is tried again."""
        self._find_processes()
        for run in [run for run in self.state.runs.values() if run.is_over and run.id not in self._processes]:
            self._tidy(run)  # a kill may have come before
        for run in [run for run in self.state.runs.values() if not run.is_over]:
            await self._hear(run)  # what a process told while no server listened, its end included
        while not self._is_stopping:
            try:
                await self._look()
            except Exception:
                log.exception("the jobs could not be looked at")
            await self._rest()
        for id, (process, _) in list(self._processes.items()):
            if self.machines.outlive_server:
                process.let_go()
                del self._processes[id]
            else:
                process.ask_to_pause()
        deadline = asyncio.get_running_loop().time() + SHUTDOWN_SECONDS
        while self._processes and asyncio.get_running_loop().time() < deadline:
            await self._listen()
            await asyncio.sleep(0.05)
        self.state.save()
        await self.machines.close()

    def _find_processes(self) -> None:
        """Those that have outlived the server before."""
        for id, run in self.state.runs.items():
            try:
                process = self.machines.find(run)
            except OSError as error:
                log.error("%s: what may be left of its process cannot be told to leave: %s", id, error)
                continue
            if process:
                self._processes[id] = process, self.slots[0]

    def stop(self) -> None:
        """Ask `work` to end. The jobs go on with the next start of the trainer."""
        self._is_stopping = True
        self._wake.set()

    async def _rest(self) -> None:
        wait = BUSY_SECONDS if self._processes else IDLE_SECONDS
        try:
            await asyncio.wait_for(self._wake.wait(), wait)
        except TimeoutError:
            return
        self._wake.clear()

    async def _look(self) -> None:
        await self._listen()
        if self._is_stopping:
            return
        for run in [run for run in self.state.runs.values() if run.job.status == "validating_files"]:
            self._validate(run)
        self._start_waiting()
        self.state.save()

    async def _listen(self) -> None:
        """One job's trouble, such as a full disk, holds up neither the others nor its slot."""
        for id, (process, device) in list(self._processes.items()):
            for sentence in [] if self.state.runs[id].is_over else process.news():
                self.state.runs[id].add_event(sentence, level="warn")
            if ended := process.ended():
                del self._processes[id]
                self._ended[id] = ended
                log.info("%s: %s on %s ended: %s", id, process.name, device, ended.lost or f"code {ended.code}")
        for id in (*self._processes, *self._ended):
            if self._try_again.get(id, 0.0) <= self.state.now():
                await self._hear(self.state.runs[id])

    async def _hear(self, run: Run) -> None:
        """Reads what a process has told, and finishes with it if it has ended."""
        was_over = run.is_over
        try:
            await self._read(run)
        except (OSError, sqlite3.Error) as error:
            if run.id not in self._try_again:
                log.error("%s: what its process has told cannot be kept yet: %s", run.id, error)
            self._try_again[run.id] = self.state.now() + UNREAD_SECONDS
            if not run.is_over:
                return
        self._try_again.pop(run.id, None)
        if run.is_over and not was_over and run.id in self._processes:
            self._processes[run.id][0].ask_to_cancel()  # it has nothing more to do
        if ended := self._ended.pop(run.id, None):
            run.kept.in_cluster = False
            self._left(run, ended)

    async def _read(self, run: Run) -> None:
        """Apply what the process has told since the last time; it is kept in the same transaction as the offset."""
        while True:
            lines, offset = job_folder.read_lines(run.folder, run.kept.offset)
            if offset == run.kept.offset:
                return
            packed = await self._packed(run, [line for line, _ in lines])
            try:
                progress.tell_all(run, self.state, [(line | packed, behind) for line, behind in lines])
            except OSError:
                if packed:  # no row points to it
                    self.state.unlink(Path(packed["packed"]))
                raise
            run.kept.offset = offset
            self.state.save()

    async def _packed(self, run: Run, lines: list[dict[str, Any]]) -> dict[str, str]:
        """The path of the model's file, made before the line that says that the model is there is applied."""
        if run.is_over or not any(line.get("event") == "done" for line in lines):
            return {}
        path = self.state.new_path()
        try:
            await asyncio.to_thread(job_folder.pack, run.folder / "final", path)
        except OSError:
            self.state.unlink(path)
            raise
        if run.is_over:  # it was cancelled meanwhile
            self.state.unlink(path)
        return {"packed": str(path)}

    def _left(self, run: Run, ended: Ended) -> None:
        progress.forget_pruned(run, self.state)
        if run.is_over:
            self._tidy(run)
            return
        if run.job.status not in ("queued", "running") or self._is_stopping:
            return
        if ended.lost:
            self._start_at[run.id] = self.state.now() + setbacks.count_loss(run, ended.lost)
        elif ended.code != PAUSED:
            setbacks.count_failure(run, f"ended with code {ended.code}", is_killed=ended.code == KILLED)
        self._end_if_over(run)

    def _tidy(self, run: Run) -> None:
        self.state.remove_later(job_folder.tidy, run.folder, progress.models_of(run, self.state))

    def _end_if_over(self, run: Run) -> None:
        if run.is_over:
            self.state.save()
            self._tidy(run)

    def _validate(self, run: Run) -> None:
        kept, job = run.kept, run.job
        if error := first_problem(job, run.method, kept.training, kept.validation):
            run.fail(error)
            self._end_if_over(run)
            return
        run.choose(automatic(kept.training.n_examples))
        before = sum(other.job.status in ("queued", "running") for other in self.state.runs.values())
        job.status = "queued"
        jobs = "no job is" if before == 0 else "one job is" if before == 1 else f"{before} jobs are"
        run.add_event(f"Files validated, moving job to queued state; {jobs} before it")

    def _start_waiting(self) -> None:
        """Jobs that were interrupted come first, then the oldest."""
        used = [device for _, device in self._processes.values()]
        free = list(self.slots)
        for device in used[: len(free)]:  # a cluster may have had more slots before
            free.remove(device)
        busy = self._processes.keys() | self._ended.keys()
        waiting = [run for run in self.state.runs.values() if run.job.status in ("running", "queued")]
        for run in sorted(waiting, key=lambda run: run.job.status == "queued"):
            if not free or run.id in busy or self._start_at.get(run.id, 0.0) > self.state.now():
                continue
            try:
                self._start(run, free[0])
            except Exception as error:  # whatever one job has, the others start
                log.exception("%s: its process could not be started", run.id)
                setbacks.count_failure(run, f"could not be started ({type(error).__name__}: {error})")
                self._end_if_over(run)
            else:
                del free[0]

    def _start(self, run: Run, device: str) -> None:
        kept = run.kept
        decided: dict[str, Any] = decide(run.hyperparameters, kept.spec) | {
            "device": device,
            "threads": self.machines.threads,
            "save_every": self.state.settings.save_every,
        }
        if base := self.state.bases_by_name().get(kept.base):
            decided["base"] = base.folder  # the trainer's folder may have been moved
        inputs = job_folder.inputs(run.folder, parent_is_whole=kept.spec.get("parent_is_whole", False))
        job_folder.write_spec(run.folder, kept.spec | decided | inputs)
        if self.machines.outlive_server:
            kept.attempt, kept.in_cluster = kept.attempt + 1, True
            self.state.save()  # before the cluster knows of it
        else:
            run.job.status = "running"  # one in a cluster may have to wait there
        process = self.machines.start(run)
        self._processes[run.id] = process, device
        log.info("%s: %s trains on %s", run.id, process.name, device)
