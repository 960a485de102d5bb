"""Measures what is lost, and how long jobs wait, while one part of the deployment is down, empty, frozen or crashing.

`python -m benchmarks.outages [SECONDS]`

Redis refuses connections and then stands still for SECONDS each (30). Every timeout of the servers is shorter than
that, so half a minute exercises the same code as ten.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import psutil
from sqlalchemy import insert
from sqlmodel import col, delete, select

from benchmarks.outages.bench import Bench, Row, latencies, seconds_until
from benchmarks.outages.half_open import half_open
from benchmarks.outages.killed_worker import killed_worker
from benchmarks.outages.poisoned_job import poisoned_job
from benchmarks.stack import measured_stack, print_table
from cli.local import commands
from cli.processes.supervisor import Tier
from shared.broker.queue import WORK
from shared.database import get_engine, transaction
from shared.jobs.models import Job
from shared.projects.models import Credential

SETTINGS = {
    "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "100000",
    "SANDBOX_MAX_JOBS_PER_DAY": "100000",
    "SANDBOX_SPEED": "0.001",  # a job runs until the benchmark ends it
    "TUNERY_LOG_LEVEL": "warning",
}


def main(redis_away_seconds: float) -> None:
    rows: list[Row] = []
    with measured_stack(**SETTINGS) as stack:
        os.environ.update(stack.environ)
        bench = Bench(stack)
        for part in (
            no_worker,
            flushed_redis,
            killed_worker,
            half_open_connection,
            poisoned_job,
            restarted_postgres,
            partial(unavailable_redis, how="refuses", seconds=redis_away_seconds),
            partial(unavailable_redis, how="stands still", seconds=redis_away_seconds),
        ):
            for row in part(bench):
                print(*row, sep=" | ", file=sys.stderr, flush=True)
                rows.append(row)
        get_engine().dispose()
    print_table(rows)


def no_worker(bench: Bench) -> list[Row]:
    """Two extra beat processes sweep 50,000 due rows: each queue must stay short although nobody empties it."""
    new = [
        {**Credential(provider="none", base_url=f"https://{n}.invalid/v1").model_dump(), "enqueued_at": None}
        for n in range(50_000)
    ]
    with bench.suspended("worker"):
        with transaction() as session:
            session.execute(insert(Credential), new)
        beats = [subprocess.Popen(commands.beat(), env=dict(os.environ), cwd=commands.ROOT) for _ in range(2)]
        longest = max(_queue_lengths(bench, 30))
        for beat in beats:
            beat.terminate()
            beat.wait()
        with transaction() as session:
            session.exec(delete(Credential).where(col(Credential.provider) == "none"))
        bench.redis.delete(*WORK)
    return [("50,000 due rows, no worker, three sweepers, 30 s: the longest queue", "< 2,000", f"{longest:,} messages")]


def _queue_lengths(bench: Bench, seconds: float) -> Iterator[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield max(int(bench.redis.llen(queue)) for queue in WORK)
        time.sleep(0.1)


def flushed_redis(bench: Bench) -> list[Row]:
    ids = [bench.create() for _ in range(500)]
    bench.seconds_until_at_provider(*ids)
    with transaction() as session:
        provider_ids = list(session.exec(select(Job.provider_job_id).where(col(Job.id).in_(ids))))
    bench.redis.flushall()
    started = time.monotonic()
    for id in provider_ids:
        bench.sandbox.post(f"/sandbox/jobs/{id}", json={"status": "succeeded"}).raise_for_status()
    seconds_until(lambda: _count_unfinished(ids) == 0)
    waited = time.monotonic() - started
    return [("FLUSHALL with 500 running jobs: all have ended after", "≤ 60 s", f"{waited:.1f} s")]


def _count_unfinished(ids: list[str]) -> int:
    with transaction() as session:
        return len(session.exec(select(Job.id).where(col(Job.id).in_(ids), Job.status != "succeeded")).all())


def half_open_connection(bench: Bench) -> list[Row]:
    redis_url = bench.stack.environ["REDIS_URL"]
    with half_open(redis_url) as proxy, bench.another_worker(variables={"REDIS_URL": proxy.url}):
        bench.seconds_until_at_provider(bench.create())
        proxy.freeze()
        waited = bench.seconds_until_at_provider(bench.create())
        again = bench.seconds_until_at_provider(bench.create())
    measured = f"{waited:.1f} s; the next job {again:.1f} s"
    return [("connection to Redis swallows everything: consuming again", "≤ 60 s", measured)]


def restarted_postgres(bench: Bench) -> list[Row]:
    before = {name: process.pid for name, process in bench.stack.processes.items() if name != "postgres"}
    bench.restart("postgres", pause_seconds=3)
    waited = seconds_until(partial(_takes_a_job, bench), 0.5)
    dead = [name for name, pid in before.items() if name != "worker" and not psutil.pid_exists(pid)]
    measured = f"{waited:.1f} s, {len(dead)} processes died"
    return [("Postgres restarted (3 s away): a job is at the provider after", "-", measured)]


def _takes_a_job(bench: Bench) -> bool:
    try:
        bench.seconds_until_at_provider(bench.create())
    except Exception:
        return False
    return True


def unavailable_redis(bench: Bench, how: str, seconds: float) -> list[Row]:
    milliseconds, ids = [], []
    tier, valkey = bench.stack.supervisor.members["valkey"]
    valkey.stop() if how == "refuses" else valkey.process.send_signal(signal.SIGSTOP)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        ids.append(bench.create())
        milliseconds.append((time.monotonic() - started) * 1000)
        time.sleep(0.2)
    if how == "refuses":
        bench.stack.supervisor.start(valkey.program, Tier(tier))
    else:
        valkey.process.send_signal(signal.SIGCONT)
    drained = bench.seconds_until_at_provider(*ids)
    return [
        (f"Redis {how} for {seconds:g} s: creates", "p99 < 500 ms", latencies(milliseconds)),
        (f"Redis {how}: all of them at the provider after", "≤ 120 s", f"{drained:.1f} s"),
    ]


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
