"""The calls of a worker's process to a provider or a receiver that answers without end: memory, and how long they take.

Each row has a process of its own, in which several threads make the call at once.
"""

import json
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from itertools import count

from tests.hostile_servers import DRIPPING, ENDLESS, Talk, paging
from tests.servers import talking

THREADS = 4
CALL_SECONDS = 5.0
MAX_DATASET_BYTES = 128 << 20
Row = tuple[str, str, str]
SETTINGS = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "TUNERY_SECRET_KEYS": json.dumps([urlsafe_b64encode(bytes(32)).decode()]),
    "TUNERY_PROVIDER__BASE_URL": "http://127.0.0.1:1/v1",
    "TUNERY_PROVIDER__API_KEY": "sk-any",
    "TUNERY_STORAGE": "/tmp",
    "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": '["127.0.0.0/8"]',
}
SCENES: dict[str, tuple[Talk | None, str]] = {
    "a million events": (None, "new_events"),
    "pages without end": (None, "list_jobs"),
    "empty objects without end": (ENDLESS["values that never end"], "list_base_models"),
    "a text without end": (ENDLESS["a text that never ends"], "list_base_models"),
    "a gzip bomb": (ENDLESS["a gzip bomb"], "list_base_models"),
    "a gzip bomb as a result file": (ENDLESS["a gzip bomb"], "read_file"),
    "a gzip bomb as a dataset": (ENDLESS["a gzip bomb"], "fetch"),
    "a webhook's answer without end": (ENDLESS["a text that never ends"], "post"),
    "a head in drops": (DRIPPING["a head in drops"], "list_base_models"),
    "a body in drops": (DRIPPING["a body in drops"], "list_base_models"),
    "a body in drops after an upload": (DRIPPING["a body in drops"], "create_file"),
}


def _pages(prefix: str, **values: str) -> Iterator[bytes]:
    """Pages of a hundred ever new objects, made quickly."""
    items = [{"id": f"{prefix}-NUMBER-{each}", **values} for each in range(100)]
    page = json.dumps({"object": "list", "data": items, "has_more": True}).encode()
    return (page.replace(b"NUMBER", str(number).encode()) for number in count())


def _calls(port: int) -> dict[str, Callable[[], object]]:
    """Runs in the measured process."""
    from shared.projects.credentials import Account
    from shared.providers.dialects import Dialect
    from tests.providers.stand_ins import LONG_AGO, new_file
    from worker.net import http_client
    from worker.providers.openai.client import OpenAIProvider
    from worker.providers.openai.parsing import STATUSES

    url, limit = f"http://127.0.0.1:{port}/v1", timedelta(seconds=CALL_SECONDS)
    provider = OpenAIProvider(Account(None, None, url, Dialect.OPENAI, 0, None), limit, STATUSES)
    return {
        "new_events": lambda: provider.new_events("ftjob-1", None),
        "list_jobs": lambda: provider.list_jobs(LONG_AGO),
        "list_base_models": provider.list_base_models,
        "read_file": lambda: sum(map(len, provider.read_file("file-1"))),
        "create_file": lambda: provider.create_file(new_file("a.jsonl", bytes(1 << 20)), timedelta()),
        "fetch": lambda: sum(map(len, http_client.get(url, MAX_DATASET_BYTES, limit))),
        "post": lambda: http_client.post(url, b"{}", {}, limit),
    }


def measured(port: int, call: str) -> None:
    """Prints the largest RSS in MB, the longest call in seconds, and how it ended."""
    told, took, wanted = list[str](), list[float](), _calls(port)[call]

    def ask() -> None:
        began = time.monotonic()
        try:
            told.append(f"{wanted()!r}"[:60])
        except Exception as error:
            told.append(f"{getattr(error, 'code', type(error).__name__)}: {error}"[:110])
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([rss, max(took), told[0]]), flush=True)


def measure_all(scenes: list[tuple[int, str]]) -> None:
    import worker.app

    assert worker.app
    for scene in scenes:
        process = multiprocessing.get_context("fork").Process(target=measured, args=scene)
        process.start()
        process.join()


def _locked(pages: Iterator[bytes]) -> Iterator[bytes]:
    """The pages, for several threads."""
    lock = threading.Lock()

    def following() -> bytes:
        with lock:
            return next(pages)

    return iter(following, None)


def at_once(talk: Talk) -> Talk:
    """Each connection in a thread of its own."""

    def run(visitor: socket.socket, over: threading.Event) -> None:
        with visitor, suppress(OSError):
            talk(visitor, over)

    return lambda visitor, over: threading.Thread(target=run, args=(visitor.dup(), over), daemon=True).start()


def rows() -> Iterator[Row]:
    with ExitStack() as stack:
        ports = []
        for talk, call in SCENES.values():
            events, jobs = _pages("ftevent", message="x" * 1000, level="info"), _pages("ftjob", model="m" * 100)
            made = talk or paging(_locked(events if call == "new_events" else jobs))
            ports.append((stack.enter_context(talking(at_once(made))).port, call))
        command = [sys.executable, "-m", "benchmarks.hostile_answers.calls", json.dumps(ports)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **SETTINGS}) as process:
            assert process.stdout is not None
            for name in SCENES:
                rss, seconds, told = json.loads(process.stdout.readline())
                print(f"{name}: {told}", flush=True)
                yield f"{THREADS} calls: {name}", "≤ 512 MB, ends", f"{rss:.0f} MB, {seconds:.1f} s"


if __name__ == "__main__":
    measure_all(json.loads(sys.argv[1]))
