"""Processes on this machine: asked to pause or to stop by signals, and never left behind."""

import signal
import subprocess
import time
from pathlib import Path

from trainer import environment
from trainer.server import job_folder
from trainer.server.processes.protocol import Ended
from trainer.server.run import Run
from trainer.server.settings import Settings, threads

SECONDS_TO_LEAVE = {signal.SIGUSR1: 60.0, signal.SIGTERM: 600.0}
"""How long a process may take to leave after a signal, before it is killed. To save a large model takes minutes."""


class ThisMachine:
    outlive_server = False

    def __init__(self, settings: Settings, python: Path) -> None:
        self._python = python
        self.slots = settings.slots()
        self.threads = threads(settings, len(self.slots))

    def start(self, run: Run) -> "Process":
        return Process(self._python, run.folder)

    def find(self, run: Run) -> None:
        """None: a process here leaves when its server dies. One in a cluster that was used before is told to leave."""
        if run.kept.in_cluster:
            job_folder.ask(run.folder, "leave", run.kept.attempt)
            run.kept.in_cluster = False

    async def close(self) -> None:
        """Nothing is open."""


class Process:
    def __init__(self, python: Path, folder: Path) -> None:
        self._deadline = float("inf")
        with (folder / job_folder.ERRORS).open("ab") as errors:
            # Its standard input stays open as long as the server lives: its end tells the process to leave. A session
            # of its own: Ctrl-C at the terminal is for the server, which then asks its jobs to leave.
            self._popen = subprocess.Popen(
                [python, "-m", "trainer.job", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=environment.ROOT,
                env=environment.variables(),
                start_new_session=True,
            )
        self.name = f"process {self._popen.pid}"

    def ask_to_pause(self) -> None:
        self._ask(signal.SIGTERM)

    def ask_to_cancel(self) -> None:
        self._ask(signal.SIGUSR1)

    def _ask(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)
        self._deadline = min(self._deadline, time.monotonic() + SECONDS_TO_LEAVE[number])

    def ended(self) -> Ended | None:
        if time.monotonic() > self._deadline:
            self._popen.kill()
        code = self._popen.poll()
        if code is None:
            return None
        if self._popen.stdin:
            self._popen.stdin.close()
        return Ended(code)

    def news(self) -> list[str]:
        return []

    def let_go(self) -> None:
        """It does not outlive the server."""
