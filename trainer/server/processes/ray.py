"""Processes in a Ray cluster, each a job of Ray's with an id that is made of ours and the number of the attempt."""

import asyncio
import logging
import re
import shlex
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from trainer import environment
from trainer.server import job_folder
from trainer.server.processes import ray_jobs
from trainer.server.processes.protocol import KILLED, PAUSED, Ended
from trainer.server.processes.ray_jobs import RayJob, RayJobs, Trouble
from trainer.server.processes.ray_settings import RaySettings
from trainer.server.run import Run

log = logging.getLogger("trainer")

LOOK_SECONDS = 1.0
LONGEST_BACK_OFF_SECONDS = 30.0
PAUSE_SECONDS, CANCEL_SECONDS = 600.0, 60.0
"""How long a process may take to leave after it was asked, before it is killed."""
LOST_SECONDS = 5.0
"""Before a job that the cluster has lost is started again: what is left of it sees that, and leaves."""
MEMORY = re.compile(r"\bOOM\b|out of memory|low on memory", re.IGNORECASE)
SIGNALS_FROM = 128  # a shell gives 128 + n for a process that signal n has ended

Answer = TypeVar("Answer")


class RayCluster:
    outlive_server = True

    def __init__(self, settings: RaySettings, python: Path) -> None:
        self.settings = settings
        self.slots = [settings.device] * settings.slots
        self.threads = settings.threads
        self.jobs = RayJobs(settings.address, settings.token)
        self._python = settings.python or str(python)
        self._away_since: datetime | None = None

    def start(self, run: Run) -> "RayProcess":
        """The caller has counted the attempt and kept it: the number is never used again.

        What earlier attempts may have left somewhere, as on a machine that lost its head, is told to leave first.
        """
        job_folder.ask(run.folder, "leave", run.kept.attempt - 1)
        return RayProcess(self, run, self._entrypoint(run))

    def find(self, run: Run) -> "RayProcess | None":
        """What the server before has asked of it is asked again, since a kill may have come first.

        If it was never submitted, it is lost as one whose cluster has restarted.
        """
        if not run.kept.in_cluster:
            return None
        process = RayProcess(self, run, None)
        if run.is_over:
            process.ask_to_cancel()
        elif run.job.status == "paused":
            process.ask_to_pause()
        return process

    async def close(self) -> None:
        await self.jobs.close()

    def _entrypoint(self, run: Run) -> str:
        code = Path(self.settings.code) if self.settings.code else environment.ROOT
        variables = environment.own_variables(code) | {"TRAINER_ATTEMPT": str(run.kept.attempt)}
        assignments = [f"{name}={value}" for name, value in variables.items()]
        return shlex.join(["env", *assignments, self._python, "-m", "trainer.job", str(run.folder)])

    async def insist(self, call: Callable[[], Awaitable[Answer]], tell: Callable[[str], None]) -> Answer:
        """Calls until the cluster answers, at growing intervals. `tell` gets a sentence when that begins and ends."""
        back_off, has_told = LOOK_SECONDS, False
        while True:
            try:
                answer = await call()
            except Trouble as trouble:
                away_since = self._away(trouble)
                if not has_told:
                    tell(f"The cluster cannot be reached since {away_since:%H:%M:%S} UTC; the job goes on when it can")
                has_told = True
                await asyncio.sleep(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF_SECONDS)
            else:
                self._is_back()
                if has_told:
                    tell("The cluster can be reached again")
                return answer

    def _away(self, trouble: Trouble) -> datetime:
        if self._away_since is None:
            self._away_since = datetime.now(UTC)
            log.error("The Ray cluster at %s cannot be used: %s", self.settings.address, trouble)
        return self._away_since

    def _is_back(self) -> None:
        if self._away_since is not None:
            log.info("The Ray cluster at %s can be used again", self.settings.address)
            self._away_since = None


class RayProcess:
    """Follows one job of Ray's in a task of its own, so that a cluster that does not answer holds nobody up."""

    def __init__(self, cluster: RayCluster, run: Run, entrypoint: str | None) -> None:
        """`entrypoint`: what to submit; None to look at what was submitted before."""
        self._cluster, self._folder, self._attempt = cluster, run.folder, run.kept.attempt
        self._id = f"{run.job.id}-{run.kept.attempt}"
        self.name = f"Ray job {self._id}"
        self._asked, self._deadline = False, float("inf")
        self._unwritten: str | None = None
        self._has_logged = False
        self._ended: Ended | None = None
        self._news: list[str] = []
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._follow(entrypoint))

    def ask_to_pause(self) -> None:
        self._ask("pause", PAUSE_SECONDS)

    def ask_to_cancel(self) -> None:
        self._ask("cancel", CANCEL_SECONDS)

    def _ask(self, what: str, seconds: float) -> None:
        self._asked, self._unwritten = True, what
        self._deadline = min(self._deadline, time.monotonic() + seconds)
        self._write_ask()
        self._wake.set()

    def _write_ask(self) -> None:
        """Tried again with each look: without it the cluster ends the process when its time to leave is over."""
        if self._unwritten is None:
            return
        try:
            job_folder.ask(self._folder, self._unwritten, self._attempt)
        except OSError as error:
            if not self._has_logged:
                log.error("%s cannot be asked to leave through its folder: %s", self.name, error)
            self._has_logged = True
        else:
            self._unwritten = None

    def ended(self) -> Ended | None:
        return self._ended

    def news(self) -> list[str]:
        news = self._news.copy()
        self._news.clear()  # the same list: a call under way adds to it
        return news

    def let_go(self) -> None:
        self._task.cancel()

    async def _follow(self, entrypoint: str | None) -> None:
        try:
            if entrypoint is not None:
                resources = self._cluster.settings.resources
                await self._insist(lambda: self._cluster.jobs.submit(self._id, entrypoint, resources))
            self._ended = await self._watch()
        except Exception as error:
            log.exception("%s could not be followed", self.name)
            self._ended = await self._lost(f"it could not be followed: {error}")

    async def _watch(self) -> Ended:
        while True:
            self._write_ask()
            job = await self._insist(lambda: self._cluster.jobs.find(self._id))
            if job is None:
                return await self._lost("the cluster no longer knows it, as after a restart of its head")
            if job.is_over:
                return await self._how(job)
            if self._asked and (job.status == ray_jobs.WAITING or time.monotonic() > self._deadline):
                await self._insist(lambda: self._cluster.jobs.stop(self._id))
                if await self._still_waits():
                    return Ended(PAUSED)  # if it is started at last, it finds what it was asked, and leaves
            await self._rest()

    async def _still_waits(self) -> bool:
        job = await self._insist(lambda: self._cluster.jobs.find(self._id))
        return job is not None and job.status == ray_jobs.WAITING

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
        except TimeoutError:
            return
        self._wake.clear()

    async def _how(self, job: RayJob) -> Ended:
        """How it ended. What it did is in the job's lines; this counts only for one that left without a word."""
        if job.status == ray_jobs.SUCCEEDED:
            return Ended(0)
        if job.status == ray_jobs.STOPPED:
            return Ended(PAUSED) if self._asked else await self._lost("somebody stopped it in the cluster")
        code, said = job.driver_exit_code, job.message or ""
        if code is not None:
            code = SIGNALS_FROM - code if code > SIGNALS_FROM else code
        elif MEMORY.search(said):
            code = KILLED
        if code != PAUSED:
            with suppress(OSError):  # how it ended counts, with its log or without
                job_folder.keep_log(self._folder, await self._cluster.jobs.log(self._id) or said)
        return Ended(code) if code is not None else await self._lost(said.strip().splitlines()[0][:300] if said else "")

    async def _lost(self, why: str) -> Ended:
        await asyncio.sleep(LOST_SECONDS)
        return Ended(PAUSED, lost=why or "the cluster does not say why")

    async def _insist(self, call: Callable[[], Awaitable[Any]]) -> Any:
        return await self._cluster.insist(call, self._news.append)
