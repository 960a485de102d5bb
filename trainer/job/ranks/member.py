"""One rank of a job, started by `launch`."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from trainer.job import settings
from trainer.job.checkpoints import Checkpoints
from trainer.job.endings import exit_code_of, failure_of
from trainer.job.failures import Failed
from trainer.job.lines import Lines
from trainer.job.ranks import launch
from trainer.job.settings import Job
from trainer.job.stopping import Stopping, Wish


class _Silent(Lines):
    """The first rank speaks for all."""

    def write(self, event: str, **fields: Any) -> None:
        pass


class _StoppingTogether(Stopping):
    """A signal only leaves a wish. All ranks get the same answer, whoever has heard it first."""

    def __init__(self, mark: Path) -> None:
        super().__init__()
        super().take_over()
        self._mark = mark

    def take_over(self) -> None:
        from trainer.job.ranks import together

        together.wait_for_all()
        self._mark.touch()

    def agreed(self) -> Wish | None:
        from trainer.job.ranks import together

        return together.agreed(self.wish)


def run(folder: Path, rank: int, train: Callable[[Job, Path, Lines, Stopping], int]) -> NoReturn:
    """Ends the process with the exit code of `train`, without what libraries do at the end, where they may wait for
    ranks that are gone."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    partial = Checkpoints(folder).partial
    stopping = _StoppingTogether(launch.training_mark(partial))
    stopping.listen_to_signals()
    job = settings.read(folder)
    try:
        from trainer.job.ranks import together

        together.join(launch.rendezvous(partial), rank, len(job.devices), job.device)
        code = train(job, folder, Lines(folder) if rank == 0 else _Silent(folder), stopping)
        together.part()
    except Exception as error:
        code = _tell(error, job, partial, rank)
    sys.stderr.flush()
    os._exit(code)


def _tell(error: Exception, job: Job, partial: Path, rank: int) -> int:
    at = time.time()
    if not isinstance(error, Failed):
        traceback.print_exc()
    failure = failure_of(error, job)
    launch.Word(failure.code, failure.message, failure.param, isinstance(error, Failed), at).leave(partial, rank)
    return exit_code_of(failure)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)
