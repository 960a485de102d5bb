"""A process in which one base is loaded: started when it is needed, again after a crash, and never left behind."""

import asyncio
import logging
import math
import time
from abc import ABC, abstractmethod
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator

from trainer.job.failures import OUT_OF_MEMORY
from trainer.server import job_folder
from trainer.server.serving.command import Waiting
from trainer.server.serving.lines import Line, NoMemory, Unavailable

log = logging.getLogger("trainer")

SECONDS_TO_LEAVE = 10.0
LONGEST_PAUSE = 60.0
PAUSE_WITHOUT_MEMORY = 10.0
KILLED = -9
WITHOUT_MEMORY = {
    OUT_OF_MEMORY: "There is not enough free memory for the base of this model: jobs or other models have it. "
    "Try again later.",
    KILLED: "The system killed the process that was loading the base of this model, as it does when memory runs out. "
    "Try again later.",
}


class BaseProcess(ABC):
    """`users`: requests that are being answered, as the pool counts them."""

    def __init__(self, waiting: Waiting, base: str) -> None:
        self.users = 0
        self._settings = waiting
        self._base = base
        self._process: Process | None = None
        self._loading: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._waiting = 0
        self._is_ready = False
        self._failures = 0  # one after the other
        self._not_before = 0.0
        self._last_failure: Unavailable | None = None
        self._is_stopping = False

    @abstractmethod
    async def _start(self) -> Process:
        """The new process, which prints `ready` once it can answer."""

    @abstractmethod
    def ask(self, request: Line) -> AsyncGenerator[Line]:
        """Raises Unavailable."""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def is_idle(self) -> bool:
        """Whether nobody is answered, and nobody who was sent away to come again finds what is loading now."""
        return not self.users and (self._loading is None or self._loading.done())

    async def stop(self) -> None:
        self._is_stopping = True
        if self.is_running:
            await self._end()

    def forget_pause(self) -> None:
        """What was missing is there now."""
        self._not_before = 0.0

    def _has_answered(self) -> None:
        self._failures = 0

    async def _has_left(self) -> int | None:
        """The exit code of a process that is leaving, None if it stays."""
        assert self._process is not None
        try:
            async with asyncio.timeout(SECONDS_TO_LEAVE):
                return await self._process.wait()
        except TimeoutError:
            return None

    async def _end(self) -> int:
        """Tells the process to leave, so that it ends its own children too. The exit code."""
        assert self._process is not None
        if self._process.stdin:
            self._process.stdin.close()
        return await self._exit_code()

    async def _exit_code(self) -> int:
        """Of a process that has to leave. It is killed if it does not."""
        assert self._process is not None
        if (code := await self._has_left()) is not None:
            return code
        self._process.kill()
        return await self._process.wait()

    async def _loaded(self) -> None:
        """Starts the process if there is none, and waits until it can answer. Raises Unavailable."""
        if self._loading is None or (self._loading.done() and not self.is_running):
            self._check_pause()
            self._loading = asyncio.create_task(self._load())
        if not self._loading.done():
            await self._wait(self._loading)
        if error := self._loading.exception():
            raise error

    def _check_pause(self) -> None:
        left = self._not_before - time.monotonic()
        if left <= 0:
            return
        if isinstance(self._last_failure, NoMemory):
            raise NoMemory(str(self._last_failure), left)
        sentence = f"The process that answers for this model ended {self._failures} times. It is started again"
        raise Unavailable(429, "serving_ended", f"{sentence} in {math.ceil(left)} s.", retry_after=left)

    async def _wait(self, loading: "asyncio.Task[None]") -> None:
        if self._waiting >= self._settings.most_waiting:
            message = "This model is being loaded, and many requests wait for it already. Try again later."
            raise Unavailable(429, "model_loading", message, retry_after=5)
        self._waiting += 1
        try:
            done, _ = await asyncio.wait([loading], timeout=self._settings.seconds_to_load)
        finally:
            self._waiting -= 1
        if not done:
            message = "This model is being loaded, which takes longer than usual. Try again later."
            raise Unavailable(429, "model_loading", message, retry_after=10)

    async def _load(self) -> None:
        self._is_ready = False
        try:
            process = self._process = await self._start()
        except OSError as error:
            log.error("The process that answers with %s cannot be started: %s", self._base, error)
            self._count_failure()
            message = "The process that answers for this model cannot be started. The trainer's log says why."
            raise Unavailable(500, "base_not_loaded", message) from None
        self._watching = asyncio.create_task(self._watch(process))
        if self._is_stopping and process.stdin:
            process.stdin.close()
        try:
            async with asyncio.timeout(self._settings.most_seconds_to_load):
                self._is_ready = await _says_ready(process)
        except TimeoutError:
            seconds = self._settings.most_seconds_to_load
            log.error("The process that answers with %s was not ready after %g s, and is ended", self._base, seconds)
            if await self._end() == 0:  # it left as it was told to, which is no failure elsewhere
                self._count_failure()
        if self._is_ready:
            return
        await self._watching
        message = "The base of this model could not be loaded. The trainer's log says why."
        raise self._last_failure or Unavailable(500, "base_not_loaded", message)

    async def _watch(self, process: Process) -> None:
        code = await process.wait()
        self._last_failure = None
        if code == 0 or self._is_stopping:
            return
        path = self._settings.log_of(self._base)
        last = job_folder.last_words(path) or "it said nothing"
        log.error("The process that answers with %s ended with code %d: %s (%s)", self._base, code, last, path)
        if not self._is_ready and code in (OUT_OF_MEMORY, KILLED):
            self._last_failure = NoMemory(WITHOUT_MEMORY[code], PAUSE_WITHOUT_MEMORY)
            self._not_before = time.monotonic() + PAUSE_WITHOUT_MEMORY
            return
        self._count_failure(after_answers=self._is_ready)

    def _count_failure(self, *, after_answers: bool = False) -> None:
        """After the first crash of one that could answer, the next request starts it at once."""
        self._failures += 1
        if after_answers and self._failures == 1:
            return
        pause = min(self._settings.first_pause * 2.0 ** (self._failures - 1), LONGEST_PAUSE)
        self._not_before = time.monotonic() + pause


async def _says_ready(process: Process) -> bool:
    """False if it ends without."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line == b"ready\n":
            return True
    return False
