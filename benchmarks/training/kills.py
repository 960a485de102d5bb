"""A long job whose trainer is killed again and again, compared with the same job that nobody disturbed."""

import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from benchmarks.training.bench import Row, finished, tiny_trainer
from tests.trainer.trainer_process import Trainer

KILLS = 10
EPOCHS, EXAMPLES, SAVE_EVERY = 40, 24, 4  # 240 steps, 60 checkpoints, and a validation after every sixth step
NAMES = re.compile(r"ft:[^\s:]+:[^\s:]*:[^\s:]*:[^\s:]+|ftjob-\w+|file-\w+")
OF_A_RESTART = "Fine-tuning job goes on from step"
EXACT = ("train_loss", "valid_loss", "grad_norm", "learning_rate")


@dataclass
class Found:
    """What all jobs that were killed have shown together."""

    kills: int = 0
    ended: int = 0
    jobs: int = 0
    steps_repeated: int = 0
    difference: float = 0.0
    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)

    def rows(self, what: str) -> Iterator[Row]:
        yield f"{what}: kills, jobs that ended", "all", f"{self.kills} kills, {self.ended} of {self.jobs} jobs"
        yield f"{what}: largest difference of a loss or gradient norm", "≤ 1e-6", f"{self.difference:.1e}"
        yield f"{what}: events lost, doubled", "0, 0", f"{self.lost.total()}, {self.doubled.total()}"
        for kind, messages in (("lost", self.lost), ("doubled", self.doubled)):
            for message in list(messages)[:5]:
                print(f"  {what}: {kind}: {message}", flush=True)


def trainer_killed(kills: int = KILLS) -> Iterator[Row]:
    with tiny_trainer(save_every=SAVE_EVERY) as trainer:
        yield from killed_again_and_again(trainer, kills, kill_server).rows("trainer killed -9")


def kill_server(trainer: Trainer) -> None:
    trainer.stop(signal.SIGKILL)


def killed_again_and_again(trainer: Trainer, kills: int, kill: Callable[[Trainer], None]) -> Found:
    """`kill` ends the trainer; it is started again each time, until that many kills have been."""
    found, chance = Found(), random.Random()
    expected = _log(trainer, finished(trainer, _job(trainer)))
    while found.kills < kills:
        job, seen = _job(trainer), set[str]()
        found.jobs += 1
        while found.kills < kills and not _is_over_after_a_while(trainer, job, chance):
            seen |= {event.id for event in _newest(trainer, job)}
            kill(trainer)
            found.kills += 1
            trainer.start()
        job = finished(trainer, job)
        found.ended += 1
        _compare(found, expected, _log(trainer, job), seen)
    return found


def _job(trainer: Trainer) -> FineTuningJob:
    return trainer.job(EXAMPLES, EPOCHS, validation_file=_validation(trainer), options={"dropout": 0.1})


def _validation(trainer: Trainer) -> str:
    answers = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "Hark!"}]
    return trainer.upload(*[{"messages": answers}] * 5)


def _is_over_after_a_while(trainer: Trainer, job: FineTuningJob, chance: random.Random) -> bool:
    """Waits until a random moment: often within the steps, else while the process still starts."""
    if chance.random() < 0.7:
        lines = trainer.job_folder(job) / "lines.jsonl"
        before = _size(lines)
        while _size(lines) == before and not _is_over(trainer, job):
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 4))
    else:
        time.sleep(chance.uniform(0, 8))
    return _is_over(trainer, job)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_over(trainer: Trainer, job: FineTuningJob) -> bool:
    return trainer.lenient.fine_tuning.jobs.retrieve(job.id).status in ("succeeded", "failed", "cancelled")


def _newest(trainer: Trainer, job: FineTuningJob) -> list[FineTuningJobEvent]:
    return trainer.openai.fine_tuning.jobs.list_events(job.id, limit=100).data


def _log(trainer: Trainer, job: FineTuningJob) -> list[FineTuningJobEvent]:
    return [*trainer.openai.fine_tuning.jobs.list_events(job.id, limit=100)][::-1]


def _compare(found: Found, expected: list[FineTuningJobEvent], log: list[FineTuningJobEvent], seen: set[str]) -> None:
    """`seen`: ids of events that a caller was shown before a kill: none of them may be gone."""
    wanted, told = (Counter(_said(event) for event in events) for events in (expected, log))
    found.lost += wanted - told
    found.lost += Counter(f"shown before a kill: {id}" for id in seen - {event.id for event in log})
    found.doubled += Counter({said: n for said, n in (told - wanted).items() if not said.startswith(OF_A_RESTART)})
    found.doubled += Counter(event.id for event in log) - Counter({event.id for event in log})
    numbers, others = _numbers(expected), _numbers(log)
    differences = (abs(value - others[key]) for key, value in numbers.items() if key in others)
    found.difference = max(found.difference, *differences)


def _said(event: FineTuningJobEvent) -> str:
    """The message without the names that each job has of its own."""
    return NAMES.sub("…", event.message)


def _numbers(log: list[FineTuningJobEvent]) -> dict[tuple[int, str], float]:
    found: dict[tuple[int, str], float] = {}
    for event in log:
        data: Any = event.data if event.type == "metrics" else {}
        found |= {(int(data["step"]), name): float(data[name]) for name in EXACT if name in data}
    return found


def processes(trainer: Trainer) -> list[psutil.Process]:
    """The trainer and the jobs that it runs."""
    server = psutil.Process(trainer.process.pid)
    return [server, *server.children(recursive=True)]
