"""The process of one job: started in the trainer's environment, asked to pause or to stop, and never left behind."""

import signal
import subprocess
import time
from pathlib import Path

from trainer import environment
from trainer.server import job_folder

SECONDS_TO_LEAVE = {signal.SIGUSR1: 60.0, signal.SIGTERM: 600.0}
"""How long a process may take to leave after a signal, before it is killed. To save a large model takes minutes."""


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

    @property
    def id(self) -> int:
        return self._popen.pid

    def ask_to_pause(self) -> None:
        self._ask(signal.SIGTERM)

    def ask_to_cancel(self) -> None:
        self._ask(signal.SIGUSR1)

    def _ask(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)
        self._deadline = min(self._deadline, time.monotonic() + SECONDS_TO_LEAVE[number])

    def ended(self) -> int | None:
        """The exit code, negative for a signal; None while it runs. One that does not leave in time is killed."""
        if time.monotonic() > self._deadline:
            self._popen.kill()
        code = self._popen.poll()
        if code is not None and self._popen.stdin:
            self._popen.stdin.close()
        return code
