"""The first process of a job on several devices: it starts the ranks, passes signals on, and tells how they ended.

It loads no torch. The ranks find each other through a file, so no port is open. Each rank's stdin is a pipe from here:
its end, even by kill -9 of this process, ends the rank. All hold the lock of the job's folder.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.job.failures import Failed
from trainer.job.settings import Job
from trainer.job.stopping import PAUSED, Stopping, Wish

_POLL_SECONDS, _SECONDS_TO_FOLLOW = 0.1, 10.0
_SIGNALS: dict[Wish, signal.Signals] = {"paused": signal.SIGTERM, "cancelled": signal.SIGUSR1}
_WELL = (0, PAUSED)


@dataclass(frozen=True)
class Word:
    """Why a rank failed. `is_ours`: the trainer found it, it is not an error of a library."""

    code: str
    message: str
    param: str | None
    is_ours: bool
    at: float

    def leave(self, partial: Path, rank: int) -> None:
        new = partial / f"word-{rank}.new"
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(partial / f"word-{rank}.json")


def training_mark(partial: Path) -> Path:
    """Is there once all ranks finish the step they are in before they stop."""
    return partial / "ranks-train"


def rendezvous(partial: Path) -> Path:
    return partial / "rendezvous"


class Ranks:
    def __init__(self, folder: Path, partial: Path, job: Job, lock: int) -> None:
        """`lock`: the open file that holds the folder's lock."""
        self.partial = partial
        self._passed_on: Wish | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        for rank in range(len(job.devices)):
            count = len(job.devices)
            told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "trainer.job", str(folder), str(rank)],
                    stdin=subprocess.PIPE,
                    env=os.environ | {name: str(value) for name, value in told.items()},
                    pass_fds=[lock],
                )
            )

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def wait(self, stopping: Stopping) -> int:
        """The job's exit code. Raises `Failed` where a rank has said why it failed."""
        try:
            while True:
                self._pass_on(stopping)
                codes = [process.poll() for process in self._processes]
                if codes[0] in _WELL or any(code not in (None, *_WELL) for code in codes):
                    self._let_follow()
                    break
                time.sleep(_POLL_SECONDS)
            return self._outcome([process.poll() for process in self._processes])
        finally:
            self.kill()

    def _pass_on(self, stopping: Stopping) -> None:
        """Until the ranks train, a signal ends this process, and with it the ranks, where they stand."""
        if not training_mark(self.partial).exists():
            return
        stopping.take_over()
        if stopping.wish and stopping.wish != self._passed_on:
            self._passed_on = stopping.wish
            for process in self._processes:
                process.send_signal(_SIGNALS[stopping.wish])

    def _let_follow(self) -> None:
        """The others of one that has ended soon notice, or wait for it forever."""
        give_up = time.monotonic() + _SECONDS_TO_FOLLOW
        while time.monotonic() < give_up and any(process.poll() is None for process in self._processes):
            time.sleep(_POLL_SECONDS)

    def _outcome(self, codes: list[int | None]) -> int:
        if (first := codes[0]) is not None and first in _WELL:
            return first
        words = self._words()
        told = next((word for word in words if word.code == "out_of_memory"), None)
        signalled = [(rank, -code) for rank, code in enumerate(codes) if code is not None and code < 0]
        if signalled and not told:
            rank, number = signalled[0]
            print(f"Process {rank} of the job was ended by {signal.Signals(number).name}", file=sys.stderr)  # noqa: T201
            sys.stderr.flush()
            self.kill()
            os.kill(os.getpid(), number)  # whoever started the job sees it as if this process had been
        told = told or next((word for word in words if word.is_ours), None) or next(iter(words), None)
        if told:
            raise Failed(told.code, told.message, told.param)
        return next(code for code in codes if code is not None and code not in _WELL)

    def _words(self) -> list[Word]:
        """The first comes first: what the others say is mostly that they have lost it."""
        read: list[Any] = [json.loads(path.read_text(encoding="utf-8")) for path in self.partial.glob("word-*.json")]
        return sorted((Word(**fields) for fields in read), key=lambda word: word.at)
