"""Runs the job of a folder: `python -m trainer.job JOB_DIR`.

Exit codes: 0 done or cancelled, 75 paused, 76 another process holds the folder, 3 out of memory, 1 failed.
"""

import os
import sys
import tempfile
import traceback
from pathlib import Path

from trainer.job import folder_lock, settings
from trainer.job.checkpoints import Checkpoints, step_of
from trainer.job.failures import Failed, is_out_of_memory
from trainer.job.lines import Lines
from trainer.job.settings import Job
from trainer.job.stopping import Stopping, Wish, leave_if_superseded

_FAILED, _OUT_OF_MEMORY, _WRONG_USE = 1, 3, 2


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not (Path(arguments[0]) / "job.json").is_file():
        print("usage: python -m trainer.job JOB_DIR (a folder with job.json)", file=sys.stderr)  # noqa: T201
        return _WRONG_USE
    folder, stopping = Path(arguments[0]).resolve(), Stopping()
    leave_if_superseded(folder)
    stopping.listen(folder)
    if not folder_lock.hold(folder):
        return folder_lock.TAKEN
    lines, checkpoints = Lines(folder), Checkpoints(folder)
    checkpoints.clear_partial()

    def leave(wish: Wish) -> None:
        checkpoints.clear_partial()
        lines.write(wish, step=step_of(checkpoints.newest()))

    stopping.before_leaving(leave)
    job = None
    try:
        job = settings.read(folder)
        _prepare_environment(job, checkpoints.partial)
        from trainer.job import training  # torch reads the environment when it is imported

        return training.run(job, folder, lines, stopping)
    except Exception as error:
        failure = _failure(error, job)
        if not isinstance(error, Failed):
            traceback.print_exc()
    finally:
        checkpoints.clear_partial()
    lines.write("failed", code=failure.code, message=failure.message, param=failure.param)
    return _OUT_OF_MEMORY if failure.code == "out_of_memory" else _FAILED


def _prepare_environment(job: Job, partial: Path) -> None:
    partial.mkdir(exist_ok=True)
    tempfile.tempdir = str(partial)  # a killed process leaves its temporary files where the next one removes them
    os.environ |= {
        "HF_HOME": str(partial / "cache"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "TMPDIR": str(partial),
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "OMP_NUM_THREADS": str(job.threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait must sleep, or two of them on busy cores collapse
    }
    if job.device.startswith("cuda:"):
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        wanted = int(job.device.removeprefix("cuda:"))
        os.environ["CUDA_VISIBLE_DEVICES"] = given.split(",")[wanted] if given else str(wanted)


def _failure(error: Exception, job: Job | None) -> Failed:
    if isinstance(error, Failed):
        return error
    if is_out_of_memory(error):
        from trainer.job.memory import estimate

        advice = estimate.what_to_change(job, None) if job else ""
        return Failed("out_of_memory", f"Memory ran out while the job trained. {advice}".strip())
    said = str(error).strip().splitlines()
    return Failed("training_failed", f"Training failed: {type(error).__name__}: {said[0] if said else ''}"[:500])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
