"""How a job's process ends: the exit code, and what an error says to the caller."""

from trainer.job.failures import OUT_OF_MEMORY, Failed, is_out_of_memory
from trainer.job.memory import estimate
from trainer.job.settings import Job

FAILED, WRONG_USE = 1, 2


def exit_code_of(failure: Failed) -> int:
    return OUT_OF_MEMORY if failure.code == "out_of_memory" else FAILED


def failure_of(error: Exception, job: Job | None) -> Failed:
    if isinstance(error, Failed):
        return error
    if is_out_of_memory(error):
        advice = estimate.what_to_change(job, None) if job else ""
        return Failed("out_of_memory", f"Memory ran out while the job trained. {advice}".strip())
    said = str(error).strip().splitlines()
    return Failed("training_failed", f"Training failed: {type(error).__name__}: {said[0] if said else ''}"[:500])
