"""How many steps a job of a real base still makes after it was asked to pause or to stop, and how it goes on."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from openai.types.fine_tuning import FineTuningJob

from benchmarks.training import two_ways
from benchmarks.training.bench import REAL, Row, real_trainer
from tests.trainer.trainer_process import Trainer

TIMES = 2
PATIENCE = 600.0


def rows(source: str) -> Iterator[Row]:
    train, _ = two_ways.pairs()
    with real_trainer(source, save_every=1000) as trainer:
        job = trainer.job(
            model=REAL, epochs=20, training_file=trainer.upload(raw=two_ways.packed(two_ways.both_ways(train)))
        )
        asked_to_pause, resumed, repeated = [], [], 0
        for _ in range(TIMES):
            _make_steps(trainer, job, 3)
            asked_to_pause.append(_stop(trainer, job, "paused", trainer.lenient.fine_tuning.jobs.pause))
            stood, began = _last_step(trainer, job), time.monotonic()
            trainer.lenient.fine_tuning.jobs.resume(job.id)
            _make_steps(trainer, job, 1)
            resumed.append(time.monotonic() - began)
            repeated += _steps(trainer, job).count(stood) - 1
        _make_steps(trainer, job, 3)
        asked_to_cancel = [_stop(trainer, job, "cancelled", trainer.lenient.fine_tuning.jobs.cancel)]
    yield f"pause, asked {TIMES} times: steps begun or ended after it", "≤ 2", _told(asked_to_pause)
    yield "resume: steps done again; until the next step", "0", f"{repeated}; {max(resumed):.1f} s"
    yield "cancel: steps begun or ended after it", "≤ 2", _told(asked_to_cancel)


def _stop(trainer: Trainer, job: FineTuningJob, line: str, ask: Callable[[str], FineTuningJob]) -> tuple[int, float]:
    """Steps that were still told after the request was sent, and the seconds until its process told that it leaves."""
    count, step, began = _count(trainer, job, line), _last_step(trainer, job), time.monotonic()
    ask(job.id)
    _wait(lambda: _count(trainer, job, line) > count)
    return _last_step(trainer, job) - step, time.monotonic() - began


def _make_steps(trainer: Trainer, job: FineTuningJob, count: int) -> None:
    before = len(_steps(trainer, job))
    _wait(lambda: len(_steps(trainer, job)) >= before + count)


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def _lines(trainer: Trainer, job: FineTuningJob) -> list[dict[str, Any]]:
    path = trainer.job_folder(job) / "lines.jsonl"
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def _steps(trainer: Trainer, job: FineTuningJob) -> list[int]:
    return [int(line["step"]) for line in _lines(trainer, job) if line["event"] == "step"]


def _last_step(trainer: Trainer, job: FineTuningJob) -> int:
    return _steps(trainer, job)[-1]


def _count(trainer: Trainer, job: FineTuningJob, event: str) -> int:
    return sum(line["event"] == event for line in _lines(trainer, job))


def _told(measured: list[tuple[int, float]]) -> str:
    return f"{max(steps for steps, _ in measured)}; {max(seconds for _, seconds in measured):.1f} s"
