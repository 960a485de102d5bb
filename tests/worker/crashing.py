"""Workers to be killed at a chosen point of a step."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.settings import get_settings
from shared.tables import utc_now
from tests.worker.levers import change
from tests.world import row, variables_of_this_test

MORE_THAN_POINTS = "20"  # a step may be killed at each in turn, and is not given up


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
                "TUNERY_LOG_LEVEL": get_settings().log_level,
                "TUNERY_MAX_STEP_FAILURES": MORE_THAN_POINTS,
            },
        ) as process:
            yield cls(process)
            process.communicate()

    def crash(self, model: type[Any], id: str, point: str) -> None:
        """The step of this row, now, by a worker that dies at the point; fails if that was not reached."""
        change(model, id, due_at=utc_now())
        rung = getattr(row(model, id), model.ring_column)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{model.task} {rung} {point}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer == "killed", f"{model.__name__}, {point}: {answer or 'the program ended'}"
