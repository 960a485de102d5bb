"""Runs jobs as their server does: a process for each, with its lines read as they come."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.trainer import environment

PATIENCE = 900.0  # seconds, on a machine that does much else
# Where bfloat16 would round losses too much for a comparison: the folder's sitecustomize has jobs compute in float32.
FLOAT32 = {"PYTHONPATH": f"{environment.ROOT}{os.pathsep}{Path(__file__).with_name('float32')}"}
EXAMPLES = environment.ROOT / "examples"
QUESTIONS = ("What is a gradient?", "What is a loss?", "What is a batch?", "What is an epoch?", "What is dropout?")


class Running:
    """A job's process. To close its stdin is what the death of its server looks like."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        command = [environment.python(), "-m", "trainer.job", str(folder)]
        with (folder / "stderr.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stderr=log, cwd=environment.ROOT, env=os.environ | variables
            )

    def ranks(self) -> list[int]:
        """The ids of its processes, where it has several."""
        id = self.process.pid
        return [int(child) for child in Path(f"/proc/{id}/task/{id}/children").read_text().split()]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """The line, once the job has told that many of its kind."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = [line for line in lines(self.folder) if line["event"] == event]
            if len(found) >= count:
                return found[count - 1]
            assert self.process.poll() is None, (self.folder / "stderr.log").read_text()[-3000:]
            time.sleep(0.01)
        raise AssertionError(f"no {event} in {PATIENCE:.0f} s")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, **variables: str) -> Iterator[Running]:
    job = Running(folder, **variables)
    try:
        yield job
    finally:
        job.process.kill()
        job.process.communicate()


def run(folder: Path, **variables: str) -> int:
    """The exit code of a job that nobody stops."""
    with running(folder, **variables) as job:
        return job.end()


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "lines.jsonl"
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def told(folder: Path, event: str) -> dict[int, dict[str, Any]]:
    """The last line of that kind for each step, as the server keeps them."""
    return {line["step"]: line for line in lines(folder) if line["event"] == event}


def write(folder: Path, **changed: Any) -> Path:
    """A job of three epochs of six steps. `options` are added to the usual ones."""
    folder.mkdir(parents=True)
    options = {"rank": 8, "alpha": 16, "dropout": 0.1, "targets": "all-linear"} | changed.pop("options", {})
    job = {
        "id": f"ftjob-{folder.name}",
        "method": "supervised",
        "base": str(environment.tiny_base()),
        "base_name": "tiny",
        "model": "ft:tiny:test",
        "from_adapter": None,
        "train": str(data(folder / "train.jsonl", conversation, 23)),
        "valid": str(data(folder / "valid.jsonl", conversation, 5)),
        "seed": 7,
        "n_epochs": 3,
        "batch_size": 4,
        "learning_rate": 0.05,
        "beta": 0.1,
        "options": options,
        "threads": 1,
        "save_every": 4,
        "keep_epochs": 2,
        "device": "cpu",
    }
    (folder / "job.json").write_text(json.dumps(job | changed))
    return folder


def data(path: Path, example: Callable[[int], dict[str, Any]], count: int) -> Path:
    path.write_text("".join(json.dumps(example(number)) + "\n" for number in range(count)))
    return path


def conversation(number: int) -> dict[str, Any]:
    return {"messages": [_asked(number), *_answer("A slope, which tells where the data lies." * (1 + number % 3))]}


def preference(number: int) -> dict[str, Any]:
    answers = {"preferred_output": _answer("Pray, know this: a slope."), "non_preferred_output": _answer("A slope!")}
    return {"input": {"messages": [_asked(number)]}, **answers}


def _asked(number: int) -> dict[str, Any]:
    return {"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}


def _answer(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text}]
