"""Processes that ended without a word, or that a cluster has lost: their jobs are started again, but not for ever.

What is counted begins anew with each new step.
"""

import logging

from trainer.server import job_folder
from trainer.server.run import Run
from wire_server.records import JobError

log = logging.getLogger("trainer")

MAX_FAILURES, MAX_LOSSES = 3, 20
LONGEST_WAIT_SECONDS = 600.0


def count_failure(run: Run, what: str, *, is_killed: bool = False) -> None:
    """The process has ended without a word, or could not be started."""
    run.kept.failures += 1
    said = job_folder.last_words(run.folder / job_folder.ERRORS)
    log.warning("%s: its process %s without a word; its log ends: %s", run.id, what, said or "empty")
    if run.kept.failures < MAX_FAILURES:
        run.add_event(f"The training process {what} and is started again", level="warn")
    elif is_killed:
        message = f"The system killed the training process {MAX_FAILURES} times, as it does when memory runs out. "
        advice = "Use a smaller batch_size, or provider_options.max_length, or a smaller base."
        run.fail(JobError(code="out_of_memory", message=message + advice))
    else:
        ended = f"The training process {what}, {MAX_FAILURES} times in a row."
        run.fail(JobError(code="training_failed", message=f"{ended} It said last: {said or 'nothing'}"))


def count_loss(run: Run, why: str) -> float:
    """Nobody can say how the process ended. Seconds until it is started again, longer each time."""
    run.kept.losses += 1
    if run.kept.losses < MAX_LOSSES:
        run.add_event(f"The training process was lost and is started again: {why}", level="warn")
    else:
        message = f"The training process was lost {MAX_LOSSES} times in a row without a new step, at last: {why}"
        run.fail(JobError(code="training_failed", message=message))
    return min(LONGEST_WAIT_SECONDS, 2.0**run.kept.losses)
