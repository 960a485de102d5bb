"""The command lines of the servers: the same ones whether `up`, the demo, a container or a person starts them."""

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
LOG_CONFIG = ROOT / "cli" / "uvicorn-log.json"
# The queues of shared.broker.queue, which takes half a second to import.
WORK = ",".join(["celery", *(f"celery.{number}" for number in range(1, 32))])
DELIVERIES = "deliveries"
STEPS_AT_ONCE, DELIVERIES_AT_ONCE = 4, 64  # of a worker and a sender, unless told
GRACE = 25  # seconds that the api may finish its answers in
KEEP_ALIVE = 75  # seconds; longer than proxies and clients keep an idle connection, which would else be reset in use


def api(host: str, port: int, *, grace: int = GRACE) -> list[str]:
    """WEB_CONCURRENCY and FORWARDED_ALLOW_IPS are read by uvicorn itself."""
    options = ["--host", host, "--port", str(port), "--timeout-graceful-shutdown", str(grace), "--no-server-header"]
    log = ["--log-config", str(LOG_CONFIG), "--no-access-log"]  # lines of the api's own, one per request
    http = ["--http", "api.http.slow_heads:Connection", "--timeout-keep-alive", str(KEEP_ALIVE)]
    return _python("api", "--factory", "api.main:create_app", *options, *http, *log)


def worker(concurrency: int = STEPS_AT_ONCE) -> list[str]:
    return _celery("worker.app", "prefork", concurrency, WORK)


def sender(concurrency: int = DELIVERIES_AT_ONCE) -> list[str]:
    """Threads, since who waits for a stranger needs no processor."""
    return _celery("worker.sender", "threads", concurrency, DELIVERIES)


def _celery(app: str, pool: str, concurrency: int, queues: str) -> list[str]:
    """Without what only monitors need: the worker is ready in half the time, and leaks nothing when Redis restarts."""
    options = ["--pool", pool, "--concurrency", str(concurrency), "--queues", queues]
    quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    return _python("worker", "-A", app, "--quiet", "worker", *options, *quiet)


def beat() -> list[str]:
    return _python("worker.runtime.scheduler")


def sandbox(port: int, folder: Path | None = None) -> list[str]:
    """With a folder it keeps its files, jobs and models there."""
    return _python("sandbox", "--port", str(port), *(["--folder", str(folder)] if folder else []))


def trainer(*arguments: str) -> list[str]:
    return _python("trainer", *arguments)


def first(file: Path, patience: float = 30) -> list[str]:
    """`patience`: seconds until the database must answer."""
    return _python("cli.local.seed", str(file), str(patience))


def environment(**added: str) -> dict[str, str]:
    """Ours and what is added; the packages are found from whatever folder the command is called in."""
    return dict(os.environ) | {"PYTHONPATH": str(ROOT)} | added


def become(command: list[str], **added: str) -> NoReturn:
    """Replaces this process by the command, which so receives each signal itself."""
    os.execve(command[0], command, environment(**added))


def _python(module: str, *arguments: str) -> list[str]:
    return [PYTHON, "-m", module, *arguments]
