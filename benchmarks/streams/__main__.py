"""Measures CPU, memory and delay of 1,000 open job streams in one api process, idle and over 100 training jobs.

`python -m benchmarks.streams`

This process writes the events as the worker does: for each job those of five seconds in one transaction. It also runs
the clients; each client must receive each event of its job exactly once.
"""

import asyncio
import os
import resource
import statistics
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from benchmarks.stack import Measured, cpu_seconds, measured_stack, print_table, uploaded
from shared.database import transaction
from shared.db.ids import made_at
from shared.jobs.models import Job, JobEvent, JobStatus

STREAMS, JOBS = 1000, 100
POLL_INTERVAL_SECONDS = 5.0
SECONDS = 30.0
Row = tuple[str, str, str]


@dataclass
class Seen:
    """How many streams are open, and for each received event the seconds since its id was made."""

    open: int = 0
    waits: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """A client of one stream, as `curl -N` is."""

    def __init__(self, request: bytes, seen: Seen) -> None:
        self._request, self._seen, self._rest = request, seen, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.time()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"id: ftevent-"):
                self._seen.waits.append(now - made_at(line[4:].decode()).timestamp())
            elif line == b"event: fine_tuning.job":
                self._seen.open += 1


def main() -> None:
    with measured_stack(TUNERY_LOG_LEVEL="warning", TUNERY_RATE_LIMITS__STREAMS_PER_KEY=str(STREAMS)) as stack:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for the clients; the api raises its own limit
        os.environ.update(stack.environ)
        ids = _jobs(stack, STREAMS)
        rows = [*_idle(stack, ids), *_running(stack, ids[:JOBS], 1), *_running(stack, ids[:JOBS], 10)]
    print_table(rows)


def _jobs(stack: Measured, count: int) -> list[str]:
    """Running jobs without a due step, so that the worker ignores them."""
    client = stack.openai
    made = client.fine_tuning.jobs.create(training_file=uploaded(client), model="gpt-4o-mini")
    client.fine_tuning.jobs.cancel(made.id)
    with transaction() as session:
        values = session.get_one(Job, made.id).model_dump(exclude={"id", "created_at", "finished_at"})
        jobs = [
            Job(**values | {"status": JobStatus.RUNNING, "due_at": None, "provider_job_id": None, "request": None})
            for _ in range(count)
        ]
        session.add_all(jobs)
        return [job.id for job in jobs]


def _idle(stack: Measured, ids: list[str]) -> list[Row]:
    api = stack.processes["api"]
    before = api.memory_info().rss
    with Crowd(stack, ids) as crowd:
        time.sleep(1)
        used = cpu_seconds(api)
        time.sleep(SECONDS)
        share = (cpu_seconds(api) - used) / SECONDS
        grown = (api.memory_info().rss - before) / 1e6
    return [
        (f"{STREAMS} streams of as many jobs: all open after", "-", f"{crowd.opened:.1f} s"),
        ("  nothing happens: CPU of the api", "≤ 5 %", f"{share:.1%}"),
        ("  RSS of the api: before, and more with them", "≤ 150 MB more", f"{before / 1e6:.0f} + {grown:.0f} MB"),
    ]


def _running(stack: Measured, ids: list[str], per_second: int) -> list[Row]:
    api, followed = stack.processes["api"], [ids[number % len(ids)] for number in range(STREAMS)]
    before = api.memory_info().rss
    with Crowd(stack, followed) as crowd:
        _settle(crowd.seen)
        crowd.seen.waits.clear()
        used, began = cpu_seconds(api), time.monotonic()
        written = _train(ids, int(per_second * POLL_INTERVAL_SECONDS))
        share = (cpu_seconds(api) - used) / (time.monotonic() - began)
        _settle(crowd.seen)
        waits, grown = sorted(crowd.seen.waits), (api.memory_info().rss - before) / 1e6
    if len(waits) != written * STREAMS // len(ids):
        raise RuntimeError(f"{len(waits)} events came of {written} × {STREAMS // len(ids)}")
    p99 = waits[int(len(waits) * 0.99)]
    return [
        (f"{STREAMS} streams of {len(ids)} jobs, {per_second} steps/s each: CPU of the api", "-", f"{share:.1%}"),
        ("  RSS of the api, more than before", "-", f"{grown:.0f} MB"),
        ("  event stored → received, p50 / p99", "≤ 1 s", f"{statistics.median(waits):.2f} s / {p99:.2f} s"),
    ]


def _settle(seen: Seen) -> None:
    """Waits until no event has arrived for a second."""
    count = -1
    while count != len(seen.waits):
        count = len(seen.waits)
        time.sleep(1)


def _train(ids: list[str], batch: int) -> int:
    """Writes a batch of events for each job every five seconds; the number of events written."""
    began, written = time.monotonic(), 0
    for round_ in range(int(SECONDS / POLL_INTERVAL_SECONDS)):
        for number, job_id in enumerate(ids):
            with transaction() as session:
                _write(session, job_id, round_ * batch, batch)
            written += batch
            due = began + POLL_INTERVAL_SECONDS * (round_ + (number + 1) / len(ids))
            time.sleep(max(0.0, due - time.monotonic()))
    return written


def _write(session: Session, job_id: str, first: int, count: int) -> None:
    job = session.exec(select(Job).where(Job.id == job_id).with_for_update(key_share=True)).one()
    job.step = first + count
    numbers = {"total_steps": 10_000, "train_loss": 1.23456, "train_mean_token_accuracy": 0.56789}
    events = [
        JobEvent(
            project_id=job.project_id,
            job_id=job_id,
            type="metrics",
            message=f"Step {first + number}/10000: training loss=1.23",
            data={"step": first + number, **numbers},
        ).model_dump()
        for number in range(1, count + 1)
    ]
    session.exec(insert(JobEvent), params=events)


class Crowd:
    """One client per job, all in one thread; `opened` is the seconds until all had received their job's state."""

    def __init__(self, stack: Measured, ids: list[str]) -> None:
        self.seen = Seen()
        self.opened = 0.0
        self._stack, self._ids = stack, ids
        self._transports: list[asyncio.Transport] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> "Crowd":
        self._thread.start()
        began = time.monotonic()
        asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()
        while self.seen.open < len(self._ids):
            if time.monotonic() > began + 120:
                raise RuntimeError(f"only {self.seen.open} of {len(self._ids)} streams are open")
            time.sleep(0.02)
        self.opened = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        time.sleep(2)  # until the api has noticed

    async def _connect(self) -> None:
        address = urlsplit(self._stack.base_url)
        for job_id in self._ids:
            head = f"GET {address.path}/fine_tuning/jobs/{job_id}/events HTTP/1.1\r\nhost: {address.netloc}\r\n"
            head += f"authorization: Bearer {self._stack.api_key}\r\naccept: text/event-stream\r\n\r\n"
            client = partial(Client, head.encode(), self.seen)
            transport, _ = await self._loop.create_connection(client, address.hostname or "", address.port or 80)
            self._transports.append(transport)

    async def _hang_up(self) -> None:
        for transport in self._transports:
            transport.close()


if __name__ == "__main__":
    main()
