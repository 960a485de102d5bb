"""Child processes that write to a log of their own, die with us, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cli.failure import Failure

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
TAIL_LINES = 20
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Account:
    """The user that a process runs as."""

    uid: int
    gid: int


class ProcessDied(Failure):
    """A process ended, or was not ready in time, although it was needed."""


@dataclass(frozen=True)
class Program:
    """What to run, and how.

    `farewell` is the signal that asks it to stop, and that the kernel sends it should we be killed (Linux only).
    """

    name: str
    command: list[str]
    log: Path
    environ: Mapping[str, str] | None = None
    cwd: Path | None = None
    account: Account | None = None
    farewell: signal.Signals = signal.SIGTERM

    def start(self) -> "Child":
        """Call it from a thread that lives as long as the process shall: to the kernel that thread is its parent."""
        uid, gid = (self.account.uid, self.account.gid) if self.account else (os.getuid(), os.getgid())
        arguments = map(str, (os.getpid(), int(self.farewell), uid, gid))
        wrapper = [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), *arguments]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                wrapper + self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=self.cwd,
                start_new_session=True,  # a Ctrl-C at the terminal reaches us alone, and we stop the others in order
            )
        return Child(self, process)


@dataclass(frozen=True)
class Child:
    """A program that runs, in a process group of its own."""

    program: Program
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def ask_to_stop(self) -> None:
        if self.is_alive:
            self.process.send_signal(self.program.farewell)

    def stop(self, patience: float = 10) -> None:
        """Asks it to end, waits, and takes away by force whatever is left of its group."""
        self.ask_to_stop()
        try:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(max(patience, 0))
        finally:
            self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers the latter for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def wait_until(self, is_ready: Callable[[], bool], patience: float = 60) -> None:
        """Returns when `is_ready` says so; ProcessDied with the log's tail when the process ended, or is too slow."""
        deadline = time.monotonic() + patience
        while not is_ready():
            if not self.is_alive:
                raise ProcessDied(self.last_words())
            if time.monotonic() > deadline:
                raise ProcessDied(f"{self.program.name} was not ready after {patience:.0f} s. {self.log_tail()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        return f"{self.program.name} ended with code {self.process.returncode}. {self.log_tail()}"

    def log_tail(self) -> str:
        with self.program.log.open(errors="replace") as log:
            tail = "".join(deque(log, TAIL_LINES)).rstrip()
        return f"The end of {self.program.log}:\n{tail}" if tail else f"Its log {self.program.log} is empty."


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts off Ctrl-C and SIGTERM, so that no process is started without being written down as ours."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
