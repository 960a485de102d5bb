"""Five jobs while the trainer ends by Ctrl-C, is killed, and is replaced by a newer version."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from openai.types.fine_tuning import FineTuningJob

from benchmarks.training.bench import Row, finished, metrics, tiny_trainer
from tests.trainer import environment
from tests.trainer.trainer_process import Trainer

JOBS = 5
TARGET = f"{JOBS} of {JOBS}"


def rows(revision: str) -> Iterator[Row]:
    """`revision`: a commit of the trainer, whose folder today's trainer takes over."""
    with tiny_trainer() as trainer:
        jobs = _jobs(trainer)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            code, said = trainer.stop(number)
            if "Traceback" in said:
                raise RuntimeError(said)
            print(f"  {number.name}: exit code {code}", flush=True)
            trainer.start()
            trainer.wait_for_step(jobs[0], _done(trainer, jobs[0]) + 1)
        yield f"Ctrl-C, SIGTERM, kill -9, a restart after each, {JOBS} jobs", TARGET, _succeeded(trainer, jobs)
    yield _upgraded(revision)


def _upgraded(revision: str) -> Row:
    what = f"upgrade from {revision} with {JOBS} jobs"
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["git", "archive", revision, "trainer", "wire_server"],
            cwd=environment.ROOT,
            capture_output=True,
            check=False,
        )
        if packed.returncode != 0:
            return what, TARGET, f"not measured: git has no trainer in {revision}"
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
        with tiny_trainer(code=Path(folder)) as trainer:
            before = finished(trainer, trainer.job(examples=12, epochs=1))
            jobs = _jobs(trainer)
            trainer.stop(signal.SIGINT)
            trainer.code = environment.ROOT
            trainer.start()
            further = trainer.job(model=before.fine_tuned_model, examples=12, epochs=1)
            figure = _succeeded(trainer, jobs)
            finished(trainer, further)
            answer = trainer.openai.chat.completions.create(
                model=str(before.fine_tuned_model), messages=[{"role": "user", "content": "Hi"}], max_tokens=4
            )
            told = "its tuned model answers and is trained further" if answer.choices else "no answer"
            return what, TARGET, f"{figure}; {told}"


def _jobs(trainer: Trainer) -> list[FineTuningJob]:
    """The first one trains for long; the others wait for its slot."""
    jobs = [trainer.job(examples=24, epochs=8), *(trainer.job(examples=12, epochs=1) for _ in range(JOBS - 1))]
    trainer.wait_for_step(jobs[0], 3)
    return jobs


def _done(trainer: Trainer, job: FineTuningJob) -> int:
    return max(metrics(trainer, job, "train_loss"))


def _succeeded(trainer: Trainer, jobs: list[FineTuningJob]) -> str:
    """Each step was told once: `losses` says so."""
    for job in jobs:
        finished(trainer, job)
        steps = list(trainer.losses(job))
        if steps != list(range(1, len(steps) + 1)):
            raise RuntimeError(f"{job.id} told the steps {steps}")
    return f"{len(jobs)} of {len(jobs)}"
