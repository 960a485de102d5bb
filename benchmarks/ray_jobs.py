"""20 jobs on a Ray cluster of two slots whose head is killed once: what is lost, what is doubled.

`python -m benchmarks.ray_jobs`, after `./tunery trainer setup` and `./tunery trainer setup --ray`. It trains the tests'
model of two layers, on this machine.
"""

import json
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from openai.types.fine_tuning import FineTuningJob

from tests.trainer.ray_cluster import RayHead
from tests.trainer.trainer_process import FINAL, Trainer

JOBS, EPOCHS, ENDED_BEFORE_THE_KILL = 20, 4, 4
STEPS = EPOCHS * 6
MINUTES = 30
ENDS = ("The job has successfully completed", "The job was cancelled")


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    with RayHead() as head, Trainer(folder, **head.settings()) as trainer:
        began = time.monotonic()
        file = trainer.upload(*[_chat(number) for number in range(24)])
        jobs = [trainer.job(training_file=file, epochs=EPOCHS) for _ in range(JOBS)]
        _wait_for(trainer, jobs, ENDED_BEFORE_THE_KILL)
        while not any(2 < _steps_done(trainer, job) < STEPS for job in jobs):
            time.sleep(0.02)
        head.kill()
        print(f"{time.monotonic() - began:.0f} s: head killed, {ENDED_BEFORE_THE_KILL} jobs or more have ended")
        head.start()
        print(f"{time.monotonic() - began:.0f} s: another head answers")
        _wait_for(trainer, jobs, JOBS)
        print(f"{time.monotonic() - began:.0f} s: all have ended")
        _report(trainer, jobs)
        print(f"submitted to the second head: {dict(Counter(head.jobs().values()))}")
        trainer.stop(signal.SIGTERM)
    shutil.rmtree(folder)


def _chat(number: int) -> dict[str, object]:
    said = [{"role": "user", "content": f"What is {number}?"}, {"role": "assistant", "content": f"It is {number}."}]
    return {"messages": said}


def _steps_done(trainer: Trainer, job: FineTuningJob) -> int:
    path = trainer.job_folder(job) / "lines.jsonl"
    return path.read_text().count('"event": "step"') if path.exists() else 0


def _wait_for(trainer: Trainer, jobs: list[FineTuningJob], count: int) -> None:
    deadline = time.monotonic() + MINUTES * 60
    while sum(trainer.lenient.fine_tuning.jobs.retrieve(job.id).status in FINAL for job in jobs) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"{count} jobs had not ended after {MINUTES} minutes")
        time.sleep(1)


def _report(trainer: Trainer, jobs: list[FineTuningJob]) -> None:
    statuses: Counter[str] = Counter()
    lost = doubled = ended_twice = resumed = done_again = 0
    for job in jobs:
        now, events = trainer.lenient.fine_tuning.jobs.retrieve(job.id), trainer.events(job)
        statuses[now.status] += 1
        data = [event.data for event in events if event.type == "metrics"]
        steps = Counter(int(each["step"]) for each in data if isinstance(each, dict) and "train_loss" in each)
        lost += now.status != "succeeded" or set(steps) != set(range(1, STEPS + 1))
        doubled += sum(count - 1 for count in steps.values())
        ended_twice += sum(event.message in ENDS for event in events) != 1
        lines = [json.loads(line) for line in (trainer.job_folder(job) / "lines.jsonl").read_text().splitlines()]
        resumed += sum(line["event"] == "started" for line in lines) > 1
        done_again += sum(count - 1 for count in Counter(x["step"] for x in lines if x["event"] == "step").values())
    print(f"{dict(statuses)}: {lost} lost, {doubled} steps told twice, {ended_twice} ended other than once")
    print(f"{resumed} jobs were started again; the cluster did {done_again} of {JOBS * STEPS} steps a second time")


if __name__ == "__main__":
    main()
