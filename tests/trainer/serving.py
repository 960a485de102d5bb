"""A serving process of the tiny base, and a client that asks it as the trainer's server does."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.trainer import environment

PATIENCE = 300.0  # seconds, on a machine that does much else


@dataclass
class Answer:
    pieces: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.last["error"]
        return found


@dataclass
class Process:
    process: subprocess.Popen[str]
    path: Path

    def ask(self, content: str = "Hi", **request: Any) -> Answer:
        """Greedy and short, unless the request says otherwise."""
        question = {"messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0}
        return self.send(json.dumps(question | request).encode() + b"\n")

    def ask_all(self, requests: Sequence[dict[str, Any]]) -> list[Answer]:
        """All at once."""
        with ThreadPoolExecutor(len(requests)) as threads:
            return list(threads.map(lambda request: self.ask(**request), requests))

    def send(self, line: bytes) -> Answer:
        with self.connect() as connection, connection.makefile("rb") as lines:
            connection.sendall(line)
            answer = Answer()
            for line in lines:
                answer.last = json.loads(line)
                if "text" not in answer.last:
                    break
                answer.pieces.append(answer.last["text"])
                answer.logprobs += answer.last["logprobs"] or []
            return answer

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(str(self.path))
        return connection


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Process]:
    """`folder` is short, since a socket's path is. It is ready."""
    command = [environment.python(), "-m", "trainer.serving", "--base", str(environment.tiny_base())]
    path = folder / "socket"
    with (
        (folder / "stderr.log").open("ab") as errors,
        subprocess.Popen(
            [*command, "--socket", str(path), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=environment.ROOT,
            env=os.environ | {"PYTHONPATH": str(environment.ROOT)},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", (folder / "stderr.log").read_text()
            yield Process(process, path)
        finally:
            process.kill()


def tiny_adapters() -> Path:
    """The folder that `tiny_adapters.py` makes; made once for a state of that file and of the base."""
    source = Path(__file__).with_name("tiny_adapters.py")
    base = environment.tiny_base()
    folder = Path(f"{base}-adapters-{source.stat().st_mtime_ns}")
    if not folder.exists():
        made = Path(f"{folder}.{os.getpid()}")
        command = [environment.python(), str(source), str(base), str(made)]
        subprocess.run(command, check=True, cwd=environment.ROOT, capture_output=True)
        try:
            made.rename(folder)
        except OSError:  # another worker was faster
            assert folder.exists()
    return folder
