"""Trainers to be measured: one with a base that trains in seconds, and one with a real base of 135 M parameters."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openai.types.fine_tuning import FineTuningJob

from tests.trainer import environment
from tests.trainer.trainer_process import Trainer

Row = tuple[str, str, str]
"""What was measured, the target, the figure."""

REAL = "real"


@contextmanager
def tiny_trainer(code: Path = environment.ROOT, **settings: object) -> Iterator[Trainer]:
    with tempfile.TemporaryDirectory() as folder, Trainer(Path(folder) / "trainer", code, **settings) as trainer:
        yield trainer


@contextmanager
def real_trainer(source: str, **settings: object) -> Iterator[Trainer]:
    """`source`: a folder of weights, or a package that `trainer base add` knows; the base's name is `REAL`."""
    with tiny_trainer(environment.ROOT, **{"threads": 0, "save_every": 50} | settings) as trainer:
        environ = os.environ | {"TRAINER_PYTHON": environment.python(), "TRAINER_FOLDER": str(trainer.folder)}
        command = [sys.executable, "-m", "trainer", "base", "add", source, "--name", REAL]
        subprocess.run(command, check=True, env=environ, cwd=environment.ROOT, stdout=sys.stderr)
        yield trainer


def finished(trainer: Trainer, job: FineTuningJob, patience: float = 1800.0) -> FineTuningJob:
    """The job once it has succeeded."""
    deadline = time.monotonic() + patience
    while (job := trainer.lenient.fine_tuning.jobs.retrieve(job.id)).status not in ("succeeded", "failed", "cancelled"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{job.id} is still {job.status} after {patience:.0f} s")
        time.sleep(0.2)
    if job.status != "succeeded":
        raise RuntimeError(f"{job.id} {job.status}: {job.error}")
    return job


def metrics(trainer: Trainer, job: FineTuningJob, name: str) -> dict[int, float]:
    """The values of one metric by step."""
    found: dict[int, float] = {}
    for event in trainer.events(job):
        data: Any = event.data
        if event.type == "metrics" and name in data and is_of_validation(data) == name.startswith("full_"):
            found[int(data["step"])] = float(data[name])
    return found


def is_of_validation(data: Any) -> bool:
    return "full_valid_loss" in data


def python_of_environment() -> str:
    """Exits with a sentence where the trainer's environment is not set up."""
    try:
        return environment.python()
    except pytest.skip.Exception as reason:
        sys.exit(str(reason))
