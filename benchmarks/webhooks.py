"""Measures deliveries per second, and their delay beside receivers that never answer and while senders are killed.

`python -m benchmarks.webhooks`, for four minutes on an idle machine

This process writes the events, each in a transaction, and runs the receivers, which record when each delivery arrives.
A hanging receiver accepts the connection and never answers.
"""

import asyncio
import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from redis import Redis
from sqlmodel import col, select

from benchmarks.stack import Measured, Row, cpu_seconds, measured_stack, noted, print_table, wait_until
from shared.broker.queue import DELIVERIES
from shared.database import get_engine, transaction
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint

TYPE = EventType.JOB_SUCCEEDED
ANSWER = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


@dataclass
class Receiver:
    """`received_at` has the times at which each copy of a delivery arrived, by webhook-id."""

    received_at: dict[str, list[float]] = field(default_factory=dict)
    ports: list[int] = field(default_factory=list)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self.received_at.setdefault(_header(head, b"webhook-id"), []).append(time.monotonic())
        await reader.readexactly(int(_header(head, b"content-length")))
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async def _hang(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def serve(self, ready: threading.Event) -> None:
        servers = [await asyncio.start_server(each, "127.0.0.1", 0) for each in (self._answer, self._hang)]
        self.ports = [server.sockets[0].getsockname()[1] for server in servers]
        ready.set()
        await asyncio.Event().wait()

    def wait_for(self, count: int, patience: float = 60) -> None:
        """Raises an error if none has arrived for `patience` seconds."""
        while (had := len(self.received_at)) < count:
            wait_until(partial(self._has_more_than, had), f"{had + 1} of {count} deliveries have arrived", patience)

    def _has_more_than(self, count: int) -> bool:
        return len(self.received_at) > count


def _header(head: bytes, name: bytes) -> str:
    return head.partition(name + b": ")[2].partition(b"\r\n")[0].decode()


def main() -> None:
    settings = {"TUNERY_LEASE": "20", "TUNERY_LOG_LEVEL": "warning"}
    with measured_stack(**settings) as stack:
        os.environ.update(stack.environ)
        bench = Bench(stack)
        parts = (bench.throughput, bench.idle, bench.steady, bench.hanging, bench.killed)
        rows = [row for part in parts for row in noted(part())]
        get_engine().dispose()
    print_table(rows)


class Bench:
    """The servers, and the receiver of their webhooks."""

    def __init__(self, stack: Measured) -> None:
        self.stack = stack
        self.queue = Redis.from_url(stack.environ["REDIS_URL"])
        self.receiver, ready = Receiver(), threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.receiver.serve(ready)), daemon=True).start()
        ready.wait()

    def throughput(self, count: int = 2000) -> Iterator[Row]:
        """The sender is suspended until all events are written."""
        sender = self.stack.processes["sender"]
        with self._endpoints(1) as project_id:
            sender.suspend()
            _emit(project_id, count)
            cpu, started = cpu_seconds(sender), time.monotonic()
            sender.resume()
            self.receiver.wait_for(count)
            seconds, cpu = time.monotonic() - started, cpu_seconds(sender) - cpu
        measured = f"{count / seconds:.0f}/s ({1000 * cpu / count:.1f} ms of its CPU each)"
        yield f"one sender, {count} deliveries to one receiver", "≥ 200/s", measured

    def idle(self, count: int = 200) -> Iterator[Row]:
        with self._endpoints(1) as project_id:
            waits = self._waits(_emit(project_id, count, per_second=10))
        yield "commit → receipt when idle, p50 / p99", "< 50 ms / < 250 ms", _figures(waits)

    def steady(self, per_second: int = 50, seconds: int = 60) -> Iterator[Row]:
        with self._endpoints(1) as project_id:
            waits = self._waits(_emit(project_id, per_second * seconds, per_second))
        what = f"{per_second} events/s for {seconds} s: commit → first attempt, p50 / p99"
        yield what, "< 1 s / < 5 s", _figures(waits)

    def hanging(self, events: int = 40) -> Iterator[Row]:
        """Sends each event to all endpoints, so that the hanging ones always have deliveries in progress."""
        with self._endpoints(90) as project_id:
            alone = self._waits(_emit(project_id, events, per_second=1))
        with self._endpoints(90, hanging=10) as project_id:
            beside = self._waits(_emit(project_id, events, per_second=1))
        ratio = _p99(beside) / _p99(alone)
        yield "90 endpoints, an event a second for all, p50 / p99", "-", _figures(alone)
        yield "… the same 90 beside 10 that never answer, p50 / p99", "-", _figures(beside)
        yield "… p99 against p99 without those that hang", "≤ 1.2 ×", f"{ratio:.2f} ×"

    def killed(self, count: int = 1000, kills: int = 10) -> Iterator[Row]:
        with self._endpoints(1) as project_id:
            _emit(project_id, count)
            for _ in range(kills):
                time.sleep(0.3)
                self._kill_sender()
            self.receiver.wait_for(count)
            time.sleep(1)
            copies = Counter(len(times) for times in self.receiver.received_at.values())
            repeats = sum((times - 1) * number for times, number in copies.items())
        measured = f"{sum(copies.values())} received, {repeats} repeats in {kills} kills"
        yield (
            f"sender killed (-9) {kills} × during {count} deliveries",
            "all, ≤ 1 repeat per kill and concurrency slot",
            measured,
        )

    def _kill_sender(self) -> None:
        """Kills the sender and starts another, as `up` or a container engine does."""
        tier, sender = self.stack.supervisor.members["sender"]
        sender.kill()
        self.stack.supervisor.start(sender.program, tier)

    @contextmanager
    def _endpoints(self, good: int, hanging: int = 0) -> Iterator[str]:
        """Endpoints for the type measured, and the id of their project."""
        client, (answers, hangs) = self.stack.openai, self.receiver.ports
        ports = [answers] * good + [hangs] * hanging
        made = [
            client.webhooks.create(name="measure", url=url, event_types=["fine_tuning.job.succeeded"])
            for url in (f"http://127.0.0.1:{port}/{number}" for number, port in enumerate(ports))
        ]
        self.receiver.received_at.clear()
        with transaction() as session:
            project_id = session.exec(select(WebhookEndpoint.project_id)).first() or ""
        yield project_id
        for each in made:
            client.webhooks.delete(each.id)
        wait_until(lambda: not self.queue.llen(DELIVERIES), "the messages for deliveries that are done are taken")

    def _waits(self, committed: dict[str, float]) -> list[float]:
        """Seconds from the commit of an event to the receipt of each of its deliveries, without those that hang."""
        with transaction() as session:
            hanging = col(WebhookEndpoint.url).contains(f":{self.receiver.ports[1]}/")
            good = select(WebhookDelivery.id, WebhookDelivery.event_id).join(WebhookEndpoint).where(~hanging)
            events = {id: event for id, event in session.exec(good) if event in committed}
        self.receiver.wait_for(len(events))
        return [self.receiver.received_at[id][0] - committed[event] for id, event in events.items()]


def _emit(project_id: str, count: int, per_second: float = 0) -> dict[str, float]:
    """Writes the events, each in a transaction; the time of each commit by event id."""
    committed, started = {}, time.monotonic()
    for number in range(count):
        with transaction() as session:
            event = webhooks.write_event(
                session, project_id, TYPE, {"id": f"ftjob-{number}", "object": "fine_tuning.job"}
            )
        assert event is not None
        committed[event.id] = time.monotonic()
        if per_second:
            time.sleep(max(0.0, started + (number + 1) / per_second - time.monotonic()))
    return committed


def _p99(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.99)]


def _figures(waits: list[float]) -> str:
    return f"{1000 * statistics.median(waits):.0f} ms / {1000 * _p99(waits):.0f} ms"


if __name__ == "__main__":
    main()
