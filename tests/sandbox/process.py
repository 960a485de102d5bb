"""Starts the sandbox as a process; tests call it with OpenAI's SDK and with plain HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
from openai import OpenAI
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

KEY = "sk-sandbox"
ROOT = Path(__file__).parents[2]


class Sandbox:
    """A running sandbox. `openai` refuses every answer that is not exactly of the SDK's types; `lenient` does not."""

    def __init__(self, **settings: object) -> None:
        environment = {**os.environ, **{f"SANDBOX_{name.upper()}": str(value) for name, value in settings.items()}}
        command = [sys.executable, "-m", "sandbox", "--port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        assert self.process.stderr is not None
        self.first_line = self.process.stderr.readline()
        found = re.search(r"http://\S+", self.first_line)
        assert found, self.first_line
        self.url = found[0]
        self.http = httpx2.Client(
            base_url=self.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30, verify=False
        )
        self.openai = self.client(strict=True)
        self.lenient = self.client(strict=False)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.openai.close()
        self.lenient.close()
        self.http.close()
        if self.process.returncode is None:
            self.stop()

    def client(self, *, strict: bool = True, key: str = KEY, timeout: float = 30) -> OpenAI:
        return OpenAI(
            api_key=key,
            base_url=f"{self.url}/v1",
            max_retries=0,
            timeout=timeout,
            _strict_response_validation=strict,
        )

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal; its exit code, and what it had to say after the first line."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said

    def control(self, path: str, /, **body: Any) -> Any:
        answer = self.http.post(f"/sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def arm(self, method: str, path: str, **fault: Any) -> None:
        self.control("faults", method=method, path=path, **fault)

    def counted(self, call: str) -> int:
        """How often `METHOD /path/{template}` was called since the last reset."""
        return int(self.http.get("/sandbox/requests").json()["requests"].get(call, 0))

    def upload(self, *records: object, raw: bytes | None = None, purpose: Any = "fine-tune") -> FileObject:
        content = raw if raw is not None else "\n".join(json.dumps(record) for record in records).encode()
        return self.openai.files.create(file=("train.jsonl", content), purpose=purpose)

    def job(self, examples: int = 50, **wanted: Any) -> FineTuningJob:
        """A job for gpt-4o-mini on chat examples that differ in one word."""
        file = wanted.pop("training_file", None) or self.upload(*chats(examples)).id
        wanted.setdefault("model", "gpt-4o-mini")
        return self.openai.fine_tuning.jobs.create(training_file=file, **wanted)

    def move(self, job: FineTuningJob, **where: Any) -> FineTuningJob:
        self.control(f"jobs/{job.id}", **where)
        return self.lenient.fine_tuning.jobs.retrieve(job.id)

    def tuned(self, **wanted: Any) -> FineTuningJob:
        return self.move(self.job(**wanted), status="succeeded")

    def messages(self, job: FineTuningJob) -> list[str]:
        """The job's whole log, oldest first."""
        return [event.message for event in self.openai.fine_tuning.jobs.list_events(job.id, limit=100)][::-1]


def wait_for_end(sandbox: Sandbox, job: FineTuningJob) -> FineTuningJob:
    """The job once it has a final status; fails after more than a minute."""
    deadline = time.monotonic() + 100
    while job.status not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
        job = sandbox.openai.fine_tuning.jobs.retrieve(job.id)
    return job


def chat(question: str, reply: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]}


def chats(count: int) -> list[dict[str, object]]:
    return [chat(f"What is number{index}?", f"Hark, it is {index}!") for index in range(count)]


def preferences(count: int) -> list[dict[str, object]]:
    def said(text: str) -> Sequence[dict[str, str]]:
        return [{"role": "assistant", "content": text}]

    asked = {"messages": [{"role": "user", "content": "Which?"}]}
    return [{"input": asked, "preferred_output": said("this"), "non_preferred_output": said("that")}] * count
