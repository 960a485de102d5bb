"""CPU of requests beside that of another gateway with the same provider behind it: LiteLLM's proxy.

Its fine-tuning API needs a licence, so the lists of models and the chats are compared.
"""

import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.compare.verdict import Row
from benchmarks.stack import Measured, cpu_seconds, measured_stack
from tests.servers import free_port

PROGRAM = "TUNERY_BENCHMARK_GATEWAY"
MODEL = "gpt-4o-mini"
KEY = "sk-of-the-gateway"
REQUESTS = 300
WARM_UP = 30
PATIENCE = 300.0
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Where is my parcel?"}]}
KINDS = {"GET /v1/models": ("GET", "/models", None), "POST /v1/chat/completions": ("POST", "/chat/completions", CHAT)}


@dataclass(frozen=True)
class Server:
    base_url: str
    api_key: str
    process: psutil.Process

    def cpu(self) -> float:
        return sum(map(cpu_seconds, [self.process, *self.process.children(recursive=True)]))


def rows() -> Iterator[Row]:
    program = os.environ.get(PROGRAM) or shutil.which("litellm")
    with measured_stack() as stack:
        ours = {kind: _cpu_of(Server(stack.base_url, stack.api_key, stack.processes["api"]), kind) for kind in KINDS}
        theirs, why_not = dict[str, float](), "not installed"
        if program is not None:
            try:
                with _gateway(program, stack) as server:
                    theirs = {kind: _cpu_of(server, kind) for kind in KINDS}
            except RuntimeError as error:
                why_not = str(error)
    for kind, milliseconds in ours.items():
        yield f"{kind}: CPU per request", "-", f"{milliseconds:.2f} ms"
        if (other := theirs.get(kind)) is None:
            yield "… of LiteLLM's proxy", "-", why_not
        else:
            yield "… of LiteLLM's proxy", "≥ 1 ×", f"{other / milliseconds:.1f} × as much ({other:.2f} ms)"


@contextmanager
def _gateway(program: str, stack: Measured) -> Iterator[Server]:
    """With one model and a key, without a database."""
    behind = {"model": f"openai/{MODEL}", "api_base": stack.sandbox_url, "api_key": stack.sandbox_key}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": behind}],
        "general_settings": {"master_key": KEY},
    }
    with tempfile.TemporaryDirectory() as folder:
        file, port = Path(folder) / "config.yaml", free_port()
        file.write_text(json.dumps(config))  # YAML too
        command = [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
        environ = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks for a table of prices far away
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            server = Server(f"http://127.0.0.1:{port}/v1", KEY, psutil.Process(process.pid))
            _wait_for(server, process)
            yield server
        finally:
            process.terminate()
            process.wait()


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _ask(server, "GET /v1/models", 1)
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("did not start") from None
            time.sleep(0.2)


def _cpu_of(server: Server, kind: str) -> float:
    """Milliseconds of the server's CPU per request."""
    _ask(server, kind, WARM_UP)
    before = server.cpu()
    _ask(server, kind, REQUESTS)
    return 1000 * (server.cpu() - before) / REQUESTS


def _ask(server: Server, kind: str, count: int) -> None:
    """One after the other, over one connection."""
    method, path, body = KINDS[kind]
    address = urlsplit(server.base_url)
    connection = http.client.HTTPConnection(address.netloc)
    headers = {"authorization": f"Bearer {server.api_key}", "content-type": "application/json"}
    for _ in range(count):
        connection.request(method, address.path + path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{kind}: {answer.status} {text[:200]!r}")
    connection.close()
