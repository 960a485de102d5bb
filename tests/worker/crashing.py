"""Workers to be killed at a chosen point of a step."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.db.times import utc_now
from shared.settings import get_settings
from tests.worker.levers import change
from tests.world import row, variables_of_this_test

MOST_CRASHES = "20"  # of a step, so that it is not given up
POINTS = {
    "in the claim": ("commit", 1),
    "before the call": ("after_commit", 1),
    "during the call": ("asked", 1),
    "during the 2nd call": ("asked", 2),
    "during the 3rd call": ("asked", 3),
    "during the 4th call": ("asked", 4),
    "after the call": ("begin", 2),
    "in the record": ("commit", 2),
    "before the message": ("after_commit", 2),
    "before the end": ("end", 1),
}
"""Where a step is cut off: at a hook, when that is reached for the nth time.

In the claim or the record all is written and nothing committed; during a call the request has been sent, and none of
the answer was read; the message rings for the next step; at the end the step's own message is acknowledged.
"""


class Crashes:
    """The program that forks those who die."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @classmethod
    @contextmanager
    def ready(cls) -> Iterator["Crashes"]:
        with subprocess.Popen(
            [sys.executable, "-m", "tests.worker.dying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **variables_of_this_test(),
                "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": '["127.0.0.0/8"]',
                "TUNERY_MAX_STEP_FAILURES": MOST_CRASHES,
                "TUNERY_LOG_LEVEL": get_settings().log_level,
            },
        ) as process:
            yield cls(process)
            process.communicate()

    def crash(self, model: type[Any], id: str, point: str) -> None:
        """The step of this row, now, by a worker that dies at the point; fails if that was not reached."""
        answer = self.work(model, id, point)
        assert answer == "killed", f"{model.__name__}, {point}: {answer or 'the program ended'}"

    def work(self, model: type[Any], id: str, point: str) -> str:
        """The step of this row, now, by a worker that dies at the point, if it comes there; how it ended."""
        change(model, id, due_at=utc_now())
        rung = getattr(row(model, id), model.enqueue_column)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{model.task} {rung} {point}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()
