"""A stand-in of vLLM that runs, and what it was asked."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("stand_in_vllm.py")
PATIENCE = 300.0


class Vllm:
    """At one address, also after it was started again. `settings` are environment variables of vLLM."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "vllm.log"
        self._options = ["/weights/tiny", f"--port={self.port}", "--host=127.0.0.1", f"--log={self.log}", *options]
        self._environ = {**os.environ, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", **settings}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, PROGRAM, *self._options], env=self._environ)
        until(lambda: self._is_listening() or self.process.poll() is not None)
        assert self.process.poll() is None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def told(self, what: str) -> list[dict[str, Any]]:
        return [line for line in told(self.log) if line["what"] == what]

    def _is_listening(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0


def told(log: Path) -> list[dict[str, Any]]:
    whole = log.read_text().rpartition("\n")[0] if log.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
