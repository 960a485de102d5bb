"""The process that answers with one base: started when it is needed, again after a crash, and never left behind."""

import asyncio
import itertools
import json
import logging
import math
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import environment
from trainer.server.job_folder import last_words

log = logging.getLogger("trainer")

Line = dict[str, Any]

SECONDS_TO_LEAVE = 10.0
LONGEST_PAUSE = 60.0
MOST_BYTES_OF_LINE = 16 * 2**20

_sockets = itertools.count()  # a name is never used again: a process that leaves removes its socket


class Unavailable(Exception):
    """The request gets this error line instead of an answer."""

    def __init__(self, status: int, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        error: Line = {"status": status, "code": code, "message": message, "param": None}
        self.line: Line = {"error": error if retry_after is None else error | {"retry_after": math.ceil(retry_after)}}


@dataclass(frozen=True)
class Command:
    python: Path
    sockets: Path
    logs: Path
    threads: int
    idle_seconds: float = 600.0
    max_adapters: int = 8
    max_batch: int = 8
    seconds_to_load: float = 120.0
    """How long a request waits for its base. Then it is refused with 429, and the base goes on loading."""
    most_waiting: int = 32
    """Requests that wait for one base to load. Further ones are refused with 429 at once."""
    first_pause: float = 1.0
    """Seconds between a crash and the next start; after each further one twice as many, up to LONGEST_PAUSE."""

    async def start(self, base: str, socket: Path) -> Process:
        options = {
            "base": base,
            "socket": socket,
            "threads": self.threads,
            "idle-seconds": self.idle_seconds,
            "max-adapters": self.max_adapters,
            "max-batch": self.max_batch,
        }
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)  # systems clear out what lies in /tmp unused
        # Its standard input stays open as long as the server lives; when that ends, the process leaves.
        with self.log_of(base).open("wb") as errors:
            return await asyncio.create_subprocess_exec(
                self.python,
                *("-m", "trainer.serving", *(f"--{name}={value}" for name, value in options.items())),
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                cwd=environment.ROOT,
                env=environment.variables(),
                start_new_session=True,
            )

    def log_of(self, base: str) -> Path:
        """Of two bases in folders of the same name, both write here; it is kept until the next start."""
        return self.logs / f"{Path(base).name}.log"


class ServedBase:
    def __init__(self, command: Command, base: str) -> None:
        self.users = 0
        self._command = command
        self._base = base
        self._socket = Path()
        self._process: Process | None = None
        self._loading: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._waiting = 0
        self._failures = 0  # one after the other
        self._not_before = 0.0
        self._is_stopping = False

    async def ask(self, request: Line) -> AsyncGenerator[Line]:
        """Raises Unavailable."""
        has_begun = False
        for _ in range(2):
            reader, writer = await self._connect()
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                await writer.drain()
                while (line := await reader.readline()).endswith(b"\n"):
                    has_begun = True
                    answer: Line = json.loads(line)
                    yield answer
                    if "text" not in answer:
                        self._failures = 0
                        return
            except ConnectionError:
                pass
            finally:
                writer.close()
            if has_begun or await self._exit_code() != 0:
                break  # else it left, since nobody had asked for long, just when this request came
        raise Unavailable(500, "serving_ended", "The process that answers for this model ended. Try again.")

    async def stop(self) -> None:
        self._is_stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin:
            process.stdin.close()
        await self._exit_code()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(2):
            await self._loaded()
            try:
                return await asyncio.open_unix_connection(self._socket, limit=MOST_BYTES_OF_LINE)
            except (ConnectionRefusedError, FileNotFoundError):
                await self._exit_code()  # it was leaving
            except OSError:
                break
        raise Unavailable(429, "too_many_waiting", "Too many requests wait for this model. Try again.", retry_after=2)

    async def _exit_code(self) -> int:
        """Of a process that is leaving. It is killed if it does not."""
        assert self._process is not None
        try:
            async with asyncio.timeout(SECONDS_TO_LEAVE):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    async def _loaded(self) -> None:
        """Starts the process if there is none, and waits until it can answer."""
        is_running = self._process is not None and self._process.returncode is None
        if self._loading is None or (self._loading.done() and not is_running):
            self._check_pause()
            self._loading = asyncio.create_task(self._load())
        if not self._loading.done():
            await self._wait(self._loading)
        if error := self._loading.exception():
            raise error

    def _check_pause(self) -> None:
        if (left := self._not_before - time.monotonic()) > 0:
            sentence = f"The process that answers for this model ended {self._failures} times. It is started again"
            raise Unavailable(429, "serving_ended", f"{sentence} in {math.ceil(left)} s.", retry_after=left)

    async def _wait(self, loading: "asyncio.Task[None]") -> None:
        if self._waiting >= self._command.most_waiting:
            message = "This model is being loaded, and many requests wait for it already. Try again later."
            raise Unavailable(429, "model_loading", message, retry_after=5)
        self._waiting += 1
        try:
            done, _ = await asyncio.wait([loading], timeout=self._command.seconds_to_load)
        finally:
            self._waiting -= 1
        if not done:
            message = "This model is being loaded, which takes longer than usual. Try again later."
            raise Unavailable(429, "model_loading", message, retry_after=10)

    async def _load(self) -> None:
        self._socket = self._command.sockets / f"{next(_sockets)}.sock"
        process = self._process = await self._command.start(self._base, self._socket)
        self._watching = asyncio.create_task(self._watch(process))
        assert process.stdin is not None
        assert process.stdout is not None
        if self._is_stopping:
            process.stdin.close()
        while line := await process.stdout.readline():
            if line == b"ready\n":
                return
        await self._watching
        message = "The base of this model could not be loaded. The trainer's log says why."
        raise Unavailable(500, "base_not_loaded", message)

    async def _watch(self, process: Process) -> None:
        code = await process.wait()
        if code == 0 or self._is_stopping:
            return
        self._failures += 1
        pause = min(self._command.first_pause * 2.0 ** (self._failures - 1), LONGEST_PAUSE)
        self._not_before = time.monotonic() + pause
        path = self._command.log_of(self._base)
        last = last_words(path) or "it said nothing"
        log.error("The process that answers with %s ended with code %d: %s (%s)", self._base, code, last, path)
