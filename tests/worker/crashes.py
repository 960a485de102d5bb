"""Kills a worker at a chosen point of a step."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.db.times import utc_now
from shared.settings import get_settings
from tests.worker.support import change
from tests.world import row, variables_of_this_test

FAULTS: list[dict[str, Any]] = [
    {"status": 429},
    {"status": 500},
    {"status": 500, "after_effect": True},
    {"drop": "before"},
    {"drop": "after"},
]
MOST_CRASHES = "20"  # of a step, so that it is not given up
DEPLOYS = "KILLED_WORKER_DEPLOYS"  # the environment of a worker whose models need deployments
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
"""The points at which a worker is killed: a hook, and how often it must be reached.

In the claim or the record everything is written and nothing is committed. During a call the request has been sent and
nothing of the answer was read. The message is that of the next step. At the end the step's own message is
still to be acknowledged.
"""


class Crashes:
    """Runs `tests.worker.killed_worker`, which forks a worker for each step."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @classmethod
    @contextmanager
    def ready(cls) -> Iterator["Crashes"]:
        with subprocess.Popen(
            [sys.executable, "-m", "tests.worker.killed_worker"],
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
        """Run the row's step in a worker that is killed at the point; fails if the point was not reached."""
        answer = self.work(model, id, point)
        assert answer == "killed", f"{model.__name__}, {point}: {answer or 'the program ended'}"

    def work(self, model: type[Any], id: str, point: str) -> str:
        """Run the row's step in a worker that is killed at the point if it reaches it; returns how the worker ended."""
        change(model, id, due_at=utc_now())
        found = row(model, id)
        message = f"{model.task} {getattr(found, model.enqueue_column)} {getattr(found, 'project_id', '')}"
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{message} {point}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()
