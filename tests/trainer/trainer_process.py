"""Starts the trainer as a process, with a base that trains in seconds; tests call it with OpenAI's SDK."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from tests.trainer import environment

KEY = "sk-trainer-test"
BASE = "tiny"
PATIENCE = 300.0
FINAL = ("succeeded", "failed", "cancelled")


class Trainer:
    """A running trainer. `openai` refuses every answer that is not exactly of the SDK's types; `lenient` does not."""

    def __init__(self, folder: Path, code: Path = environment.ROOT, **settings: object) -> None:
        """`code`: the folder in which its sources are."""
        self.folder, self.code = folder, code
        self.settings = {"port": 0, "save_every": 2, "threads": 1, "devices": "cpu", **settings}
        add_base(folder, BASE)
        self.start()

    def start(self) -> None:
        environ = {**os.environ, "TRAINER_PYTHON": environment.python(), "TRAINER_API_KEY": KEY}
        environ |= {f"TRAINER_{name.upper()}": str(value) for name, value in self.settings.items()}
        command = [sys.executable, "-m", "trainer", "--folder", str(self.folder)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ, cwd=self.code)
        assert self.process.stderr is not None
        first_line = self.process.stderr.readline()
        found = re.search(r"http://\S+", first_line)
        assert found, first_line + self.process.stderr.read()
        self.url = found[0]
        self.openai, self.lenient = self._client(strict=True), self._client(strict=False)

    def _client(self, *, strict: bool) -> OpenAI:
        return OpenAI(
            api_key=KEY,
            base_url=f"{self.url}/v1",
            max_retries=0,
            timeout=120,
            _strict_response_validation=strict,
        )

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            _, said = self.stop(signal.SIGTERM)
            if error is not None:
                error.add_note(f"The trainer said:\n{said}")

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """End it by a signal; its exit code, and what it had to say after the first line."""
        self.openai.close()
        self.lenient.close()
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def stop_and_start(self, **settings: object) -> None:
        self.stop(signal.SIGTERM)
        self.settings |= settings
        self.start()

    @contextmanager
    def chat_of_a_client_that_leaves(self, **body: object) -> Iterator[None]:
        """The client leaves at the end of the block, without having read anything."""
        content = json.dumps(body).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        address = urlsplit(self.url)
        with socket.create_connection((str(address.hostname), int(address.port or 0))) as connection:
            connection.sendall(head.encode() + content)
            yield

    def job_folder(self, job: FineTuningJob) -> Path:
        return self.folder / "jobs" / job.id

    def kill_process_of(self, job: FineTuningJob) -> None:
        """kill -9 of the process that trains it."""
        killed = subprocess.run(["pkill", "-KILL", "-f", f"trainer.job {self.job_folder(job)}"], check=False)
        assert killed.returncode == 0

    def upload(self, *records: object, raw: bytes | None = None) -> str:
        content = raw if raw is not None else "\n".join(json.dumps(record) for record in records).encode()
        return self.openai.files.create(file=("train.jsonl", content), purpose="fine-tune").id

    def job(self, examples: int = 24, epochs: int = 2, **wanted: Any) -> FineTuningJob:
        """A job of `examples / 4` steps an epoch."""
        file = wanted.pop("training_file", None) or self.upload(*chats(examples))
        wanted.setdefault("model", BASE)
        options = {"rank": 4} | wanted.pop("options", {})
        hyperparameters: Any = {"n_epochs": epochs, "batch_size": 4}
        return self.openai.fine_tuning.jobs.create(
            training_file=file,
            method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            seed=7,
            extra_body={"provider_options": options},
            **wanted,
        )

    def wait(self, job: FineTuningJob, until: Callable[[FineTuningJob], object]) -> FineTuningJob:
        deadline = time.monotonic() + PATIENCE
        while not until(job := self.lenient.fine_tuning.jobs.retrieve(job.id)):
            assert time.monotonic() < deadline, (job, self.messages(job))
            time.sleep(0.05)
        return job

    def wait_for_end(self, job: FineTuningJob) -> FineTuningJob:
        return self.wait(job, lambda job: job.status in FINAL)

    def wait_for_step(self, job: FineTuningJob, step: int) -> None:
        self.wait(job, lambda job: step in self.losses(job) or job.status in FINAL)
        assert step in self.losses(job), self.messages(job)

    def events(self, job: FineTuningJob) -> list[FineTuningJobEvent]:
        """The job's whole log, oldest first."""
        return [*self.openai.fine_tuning.jobs.list_events(job.id, limit=10)][::-1]

    def messages(self, job: FineTuningJob) -> list[str]:
        return [event.message for event in self.events(job)]

    def losses(self, job: FineTuningJob) -> dict[int, float]:
        """The training loss of each step. A step that was told twice fails the test."""
        metrics = [event.data for event in self.events(job) if event.type == "metrics"]
        told = [data for data in metrics if isinstance(data, dict) and "train_loss" in data]
        losses = {int(data["step"]): float(data["train_loss"]) for data in told}
        assert len(losses) == len(told), told
        return losses


def add_base(folder: Path, name: str, weights: Path | None = None) -> None:
    """What `trainer base add` writes, for the tiny base or for other weights of its size."""
    weights = weights or environment.tiny_base()
    entry = folder / "bases" / name
    entry.mkdir(parents=True, exist_ok=True)
    if not (entry / "weights").exists():
        (entry / "weights").symlink_to(weights, target_is_directory=True)
    described = {
        "name": name,
        "created": 1_790_000_000,
        "folder": str(entry / "weights"),
        "parameters": 100_000,
        "context": 512,
        "vocabulary": 384,
        "hidden": 64,
        "layers": 2,
        "licence": None,
        "template_sha256": "0" * 64,
        "learning_rate": 1e-3,
        "dtype": "float32",
        "source": str(weights),
    }
    (entry / "base.json").write_text(json.dumps(described))


def chat(question: str, reply: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]}


def chats(count: int) -> list[dict[str, object]]:
    return [chat(f"What is number {index}?", f"Hark, it is {index}!") for index in range(count)]
