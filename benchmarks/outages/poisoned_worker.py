"""A worker that kills itself in the step of one job: `celery --app benchmarks.outages.poisoned_worker worker …`."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.outages.poisoned_job import POISON_SUFFIX, RUNS_FILE
from worker.app import app
from worker.jobs import job_step

__all__ = ["app"]

_call = job_step.advance.call


def _die_or_call(plan: Any) -> Any:
    if plan.job.suffix == POISON_SUFFIX:
        with Path(os.environ[RUNS_FILE]).open("a") as runs:
            runs.write(".")
        os.kill(os.getpid(), signal.SIGKILL)
    return _call(plan)


job_step.advance = replace(job_step.advance, call=_die_or_call)
