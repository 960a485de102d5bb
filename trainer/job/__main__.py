"""Runs the job of a folder: `python -m trainer.job JOB_DIR`.

A job on several devices starts itself once more for each, with the number of the rank behind the folder.

Exit codes: 0 done or cancelled, 75 paused, 76 another process holds the folder, 3 out of memory, 1 failed.
"""

import os
import sys
import tempfile
import traceback
from pathlib import Path

from trainer.job import folder_lock, settings
from trainer.job.checkpoints import Checkpoints, step_of
from trainer.job.endings import WRONG_USE, exit_code_of, failure_of
from trainer.job.failures import Failed
from trainer.job.lines import Lines
from trainer.job.ranks import member
from trainer.job.ranks.launch import Ranks
from trainer.job.settings import Job
from trainer.job.stopping import Stopping, Wish, leave_if_superseded


def main(arguments: list[str]) -> int:
    if not arguments or not (Path(arguments[0]) / "job.json").is_file():
        print("usage: python -m trainer.job JOB_DIR (a folder with job.json)", file=sys.stderr)  # noqa: T201
        return WRONG_USE
    folder, stopping = Path(arguments[0]).resolve(), Stopping()
    leave_if_superseded(folder)
    if len(arguments) > 1:
        member.run(folder, int(arguments[1]), _train)
    stopping.listen(folder)
    lock = folder_lock.hold(folder)
    if lock is None:
        return folder_lock.TAKEN
    code = _run(folder, lock, stopping)
    stopping.heed_no_more()
    return code


def _run(folder: Path, lock: int, stopping: Stopping) -> int:
    """`lock`: the open file that holds the folder's lock."""
    lines, checkpoints = Lines(folder), Checkpoints(folder)
    checkpoints.clear_partial()

    def leave(wish: Wish) -> None:
        for ranks in started:
            ranks.kill()
        checkpoints.clear_partial()
        lines.write(wish, step=step_of(checkpoints.newest()))

    started: list[Ranks] = []
    stopping.before_leaving(leave)
    job = None
    try:
        job = settings.read(folder)
        _prepare_environment(job, checkpoints.partial)
        if len(job.devices) > 1:
            started.append(Ranks(folder, checkpoints.partial, job, lock))
            return started[0].wait(stopping)
        return _train(job, folder, lines, stopping)
    except Exception as error:
        failure = failure_of(error, job)
        if not isinstance(error, Failed):
            traceback.print_exc()
    finally:
        checkpoints.clear_partial()
    lines.write("failed", code=failure.code, message=failure.message, param=failure.param)
    return exit_code_of(failure)


def _train(job: Job, folder: Path, lines: Lines, stopping: Stopping) -> int:
    from trainer.job import training  # torch reads the environment when it is imported

    return training.run(job, folder, lines, stopping)


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
        "OMP_NUM_THREADS": str(job.threads_of_a_process),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait must sleep, or two of them on busy cores collapse
    }
    if job.on_gpu:
        given = os.environ.get("CUDA_VISIBLE_DEVICES")
        wanted = [int(device.removeprefix("cuda:")) for device in job.devices]
        visible = [given.split(",")[number] for number in wanted] if given else map(str, wanted)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
