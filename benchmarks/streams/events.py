"""Measures the reads of one project while another follows its own events on 320 streams of one key, idle and busy.

`python -m benchmarks.streams.events`

All of it is one api process; the clients of the streams are another. The quiet project is measured alone, beside the
open streams, and while the project that streams writes ten events a second; each stream must receive each of them.
"""

import asyncio
import multiprocessing
import os
import resource
import statistics
import threading
import time
from functools import partial
from urllib.parse import urlsplit

from benchmarks.neighbours import asked, p99
from benchmarks.stack import Measured, cpu_seconds, measured_stack, print_table
from shared.database import get_engine, transaction
from shared.projects import service as projects
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType

STREAMS = 320
SECONDS = 15.0
EVENTS_PER_SECOND = 10
Row = tuple[str, str, str]


class Seen:
    """How many streams are open, and how many events they have received together. Only the clients' process writes."""

    def __init__(self) -> None:
        self.open = multiprocessing.Value("i", 0, lock=False)
        self.events = multiprocessing.Value("i", 0, lock=False)


class Client(asyncio.Protocol):
    """A client of one stream, as `curl -N` is."""

    def __init__(self, request: bytes, seen: Seen) -> None:
        self._request, self._seen = request, seen
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._is_open and b": alive" in data:
            self._is_open = True
            self._seen.open.value += 1
        self._seen.events.value += data.count(b"\nevent: ")


def main() -> None:
    with measured_stack(TUNERY_LOG_LEVEL="warning", TUNERY_RATE_LIMITS__STREAMS_PER_KEY=str(STREAMS)) as stack:
        os.environ.update(stack.environ)
        (loud, loud_key), (_, quiet) = _project("loud"), _project("quiet")
        get_engine().dispose()
        asked(stack, quiet, 3)
        rows = [("quiet project alone: p50 / p99", "", _times(asked(stack, quiet, SECONDS)))]
        seen, began = Seen(), time.monotonic()
        clients = multiprocessing.Process(target=_follow, args=(stack.base_url, loud_key, seen), daemon=True)
        clients.start()
        while seen.open.value < STREAMS and time.monotonic() < began + 120:
            time.sleep(0.02)
        rows.append(
            (f"{seen.open.value} event streams of one key: all open after", "", f"{time.monotonic() - began:.1f} s")
        )
        rows += _beside(stack, quiet, "beside them, nothing happens")
        rows += _busy(stack, quiet, loud, seen)
        clients.kill()
    print_table(rows)


def _project(name: str) -> tuple[str, str]:
    with transaction() as session:
        project = projects.create_project(session, name)
        return project.id, projects.create_api_key(session, project.id, name)[1]


def _follow(base_url: str, key: str, seen: Seen) -> None:
    """Runs in a process of its own until it is killed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_connect(base_url, key, seen))


async def _connect(base_url: str, key: str, seen: Seen) -> None:
    address = urlsplit(base_url)
    head = f"GET {address.path}/webhook_events HTTP/1.1\r\nhost: {address.netloc}\r\n"
    head += f"authorization: Bearer {key}\r\naccept: text/event-stream\r\n\r\n"
    loop = asyncio.get_running_loop()
    transports = []
    for _ in range(STREAMS):
        client = partial(Client, head.encode(), seen)
        transports.append(await loop.create_connection(client, address.hostname or "", address.port or 80))
    await loop.create_future()


def _beside(stack: Measured, quiet: str, what: str) -> list[Row]:
    used = cpu_seconds(stack.processes["api"])
    times = asked(stack, quiet, SECONDS)
    share = (cpu_seconds(stack.processes["api"]) - used) / SECONDS
    return [(f"{what}: p50 / p99", "p99 ≤ 2 ×", _times(times)), ("  CPU of the api", "", f"{share:.0%} of a core")]


def _busy(stack: Measured, quiet: str, loud: str, seen: Seen) -> list[Row]:
    is_over = threading.Event()
    written = [0]
    writer = threading.Thread(target=_write, args=(loud, is_over, written), daemon=True)
    writer.start()
    rows = _beside(stack, quiet, f"beside them, {EVENTS_PER_SECOND} events/s")
    is_over.set()
    writer.join()
    expected, deadline = written[0] * seen.open.value, time.monotonic() + 60
    while seen.events.value < expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return [*rows, ("  events received of those expected", "all", f"{seen.events.value} of {expected}")]


def _write(project_id: str, is_over: threading.Event, written: list[int]) -> None:
    while not is_over.wait(1 / EVENTS_PER_SECOND):
        with transaction() as session:
            webhooks.write_event(session, project_id, EventType.JOB_CANCELLED, {"id": "ftjob-1", "status": "cancelled"})
        written[0] += 1


def _times(times: list[float]) -> str:
    slowest = p99(times) if len(times) > 100 else max(times)
    return f"{statistics.median(times) * 1000:.1f} / {slowest * 1000:.1f} ms of {len(times)}"


if __name__ == "__main__":
    main()
