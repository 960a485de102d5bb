"""Runs jobs in their processes: one for each slot, the oldest job first; what a process tells is kept at once."""

import asyncio
import logging
import sqlite3
from typing import Any

from trainer.server import job_folder, progress
from trainer.server.hyperparameters import automatic, decide
from trainer.server.processes.protocol import KILLED, PAUSED, Ended, JobProcess, Machines
from trainer.server.run import Run
from trainer.server.state import TrainerState
from wire_server.job_files import first_problem
from wire_server.records import JobError

log = logging.getLogger("trainer")

BUSY_SECONDS, IDLE_SECONDS = 0.2, 2.0
"""Between two looks at the processes."""
UNREAD_SECONDS = 30
"""Between two tries to keep what a process has told."""
SHUTDOWN_SECONDS = 60
MAX_FAILURES = 3
"""How often in a row a process may end without a new step and without a word."""


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
            self._tidy(run)

    def pause(self, run: Run) -> None:
        if process := self._processes.get(run.id):
            process[0].ask_to_pause()

    async def work(self) -> None:
        """Until it is stopped: then every process saves a checkpoint and leaves. What fails is tried again."""
        self._find_processes()
        for run in [run for run in self.state.runs.values() if run.is_over and run.id not in self._processes]:
            self._tidy(run)  # a kill may have come before
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
            if process := self.machines.find(run):
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
        try:
            await self._read(run)
        except (OSError, sqlite3.Error) as error:
            if run.id not in self._try_again:
                log.error("%s: what its process has told cannot be kept yet: %s", run.id, error)
            self._try_again[run.id] = self.state.now() + UNREAD_SECONDS
            if not run.is_over:
                return
        self._try_again.pop(run.id, None)
        if ended := self._ended.pop(run.id, None):
            run.kept.in_cluster = False
            self._left(run, ended)

    async def _read(self, run: Run) -> None:
        """Apply what the process has told since the last time; it is kept in the same transaction as the offset."""
        while True:
            lines, offset = job_folder.read_lines(run.folder, run.kept.offset)
            if offset == run.kept.offset:
                return
            packed = await self._packed(run, lines)
            for line in lines:
                try:
                    progress.tell(run, self.state, line | packed)
                except (KeyError, TypeError, ValueError):
                    log.exception("%s: its process told what cannot be understood: %s", run.id, line)
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
            path.unlink(missing_ok=True)
            raise
        if run.is_over:  # it was cancelled meanwhile
            path.unlink(missing_ok=True)
        return {"packed": str(path)}

    def _left(self, run: Run, ended: Ended) -> None:
        progress.forget_pruned(run, self.state)
        if run.is_over:
            self._tidy(run)
        elif run.job.status not in ("queued", "running") or self._is_stopping:
            return
        elif ended.lost:
            run.add_event(f"The training process was lost and is started again: {ended.lost}", level="warn")
        elif ended.code != PAUSED:
            self._count_failure(run, f"ended with code {ended.code}", is_killed=ended.code == KILLED)

    def _tidy(self, run: Run) -> None:
        try:
            job_folder.tidy(run.folder, progress.models_of(run, self.state))
        except OSError as error:
            log.warning("%s: its folder cannot be tidied: %s", run.id, error)

    def _count_failure(self, run: Run, what: str, *, is_killed: bool = False) -> None:
        """The process has ended without a word. It is started again, and goes on from its last checkpoint."""
        kept = run.kept
        kept.failures += 1
        said = job_folder.last_words(run.folder / job_folder.ERRORS)
        log.warning("%s: its process %s without a word; its log ends: %s", run.id, what, said or "empty")
        if kept.failures < MAX_FAILURES:
            run.add_event(f"The training process {what} and is started again", level="warn")
            return
        if is_killed:
            message = f"The system killed the training process {MAX_FAILURES} times, as it does when memory runs out. "
            advice = "Use a smaller batch_size, or provider_options.max_length, or a smaller base."
            run.fail(JobError(code="out_of_memory", message=message + advice))
        else:
            ended = f"The training process {what}, {MAX_FAILURES} times in a row."
            run.fail(JobError(code="training_failed", message=f"{ended} It said last: {said or 'nothing'}"))
        self._tidy(run)

    def _validate(self, run: Run) -> None:
        kept, job = run.kept, run.job
        if error := first_problem(job, run.method, kept.training, kept.validation):
            run.fail(error)
            self._tidy(run)
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
        waiting = [run for run in self.state.runs.values() if run.job.status in ("running", "queued")]
        for run in sorted(waiting, key=lambda run: run.job.status == "queued"):
            if not free or run.id in self._processes or run.id in self._ended:
                continue
            try:
                self._start(run, free[0])
            except Exception as error:  # whatever one job has, the others start
                log.exception("%s: its process could not be started", run.id)
                self._count_failure(run, f"could not be started ({type(error).__name__}: {error})")
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
