"""What is lost, and for how long all waits, when a part of the deployment is away, empty, deaf, or keeps dying.

`python -m benchmarks.outages [SECONDS]`

SECONDS (30) is how long Redis is away, refusing or standing still: with the mechanisms of ten minutes.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx2
import psutil
from redis import Redis
from sqlalchemy import insert
from sqlmodel import col, delete, select

from benchmarks.half_open import half_open
from benchmarks.killed import killed
from benchmarks.poisoned import in_words, poisoned
from benchmarks.stack import Measured, measured_stack, print_table, uploaded
from cli.local import commands
from cli.processes.supervisor import Tier
from shared.database import get_engine, transaction
from shared.jobs.models import Job
from shared.projects.models import Credential

Row = tuple[str, str, str]
MODEL = "gpt-4o-mini"
PATIENCE = 300.0
SETTINGS = {
    "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "100000",
    "SANDBOX_MAX_JOBS_PER_DAY": "100000",
    "SANDBOX_SPEED": "0.001",  # a job runs until it is moved
    "TUNERY_LOG_LEVEL": "warning",
}


def main(away: float) -> None:
    rows: list[Row] = []
    with measured_stack(**SETTINGS) as stack:
        os.environ.update(stack.environ)
        bench = Bench(stack)
        for part in (
            bench.bounded,
            bench.emptied,
            partial(killed, bench),
            bench.half_open,
            partial(poisoned, bench),
            bench.postgres_away,
            partial(bench.redis_away, "refuses", away),
            partial(bench.redis_away, "stands still", away),
        ):
            for row in part():
                print(*row, sep=" | ", file=sys.stderr, flush=True)
                rows.append(row)
        get_engine().dispose()
    print_table(rows)


def until(is_so: Callable[[], bool], every: float = 0.1) -> float:
    """The seconds that it took."""
    started = time.monotonic()
    while not is_so():
        if time.monotonic() - started > PATIENCE:
            raise RuntimeError("it did not happen")
        time.sleep(every)
    return time.monotonic() - started


class Bench:
    """The stack, and ways to hurt it."""

    def __init__(self, stack: Measured) -> None:
        self.stack = stack
        self.client = stack.openai
        self.redis = Redis.from_url(stack.environ["REDIS_URL"])
        address = stack.sandbox_url.removesuffix("/v1")
        self.sandbox = httpx2.Client(base_url=address, headers={"authorization": f"Bearer {stack.sandbox_key}"})
        self.file_id = uploaded(self.client)

    def create(self, suffix: str | None = None, file_id: str | None = None) -> str:
        file_id = file_id or self.file_id
        return self.client.fine_tuning.jobs.create(training_file=file_id, model=MODEL, suffix=suffix).id

    def without_ids(self, ids: list[str]) -> int:
        """How many of these jobs the provider is not known to have."""
        with transaction() as session:
            query = select(Job.id).where(col(Job.id).in_(ids), col(Job.provider_job_id).is_(None))
            return len(session.exec(query).all())

    def arrived(self, *ids: str, every: float = 0.1) -> float:
        return until(lambda: self.without_ids(list(ids)) == 0, every)

    @contextmanager
    def suspended(self, *names: str) -> Iterator[None]:
        groups = [psutil.Process(self.stack.crew.members[name][1].pid) for name in names]
        processes = [each for group in groups for each in (group, *group.children(recursive=True))]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def bounded(self) -> list[Row]:
        new = [
            {**Credential(provider="none", base_url=f"https://{n}.invalid/v1").model_dump(), "enqueued_at": None}
            for n in range(50_000)
        ]
        with self.suspended("worker"):
            with transaction() as session:
                session.execute(insert(Credential), new)
            beats = [subprocess.Popen(commands.beat(), env=dict(os.environ), cwd=commands.ROOT) for _ in range(2)]
            longest = max(self._lengths(30))
            for beat in beats:
                beat.terminate()
                beat.wait()
            with transaction() as session:
                session.exec(delete(Credential).where(col(Credential.provider) == "none"))
            self.redis.delete("celery")
        return [("50,000 due rows, no worker, three sweepers, 30 s: messages", "< 5,000", f"{longest:,} at most")]

    def _lengths(self, seconds: float) -> Iterator[int]:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            yield int(self.redis.llen("celery"))
            time.sleep(0.1)

    def emptied(self) -> list[Row]:
        ids = [self.create() for _ in range(500)]
        self.arrived(*ids)
        with transaction() as session:
            theirs = list(session.exec(select(Job.provider_job_id).where(col(Job.id).in_(ids))))
        self.redis.flushall()
        started = time.monotonic()
        for id in theirs:
            self.sandbox.post(f"/sandbox/jobs/{id}", json={"status": "succeeded"}).raise_for_status()
        until(lambda: self._unfinished(ids) == 0)
        waited = time.monotonic() - started
        return [("FLUSHALL with 500 running jobs: all have ended after", "≤ 60 s", f"{waited:.1f} s")]

    def _unfinished(self, ids: list[str]) -> int:
        with transaction() as session:
            return len(session.exec(select(Job.id).where(col(Job.id).in_(ids), Job.status != "succeeded")).all())

    def _restart(self, name: str, pause: float) -> None:
        tier, child = self.stack.crew.members[name]
        child.stop(30)
        time.sleep(pause)
        self.stack.crew.start(child.program, tier)

    @contextmanager
    def another_worker(
        self, app: str = "worker.app", concurrency: int = 2, variables: dict[str, str] | None = None
    ) -> Iterator[psutil.Process]:
        """Instead of the stack's own."""
        command = [app if word == "worker.app" else word for word in commands.worker(concurrency)]
        with self.suspended("worker"), tempfile.TemporaryFile("w+") as log:
            environ = dict(os.environ) | (variables or {})
            worker = subprocess.Popen(command, env=environ, cwd=commands.ROOT, stdout=log, stderr=log)
            time.sleep(4)
            yield psutil.Process(worker.pid)
            worker.terminate()
            worker.wait()

    def half_open(self) -> list[Row]:
        with half_open(self.stack.environ["REDIS_URL"]) as way, self.another_worker(variables={"REDIS_URL": way.url}):
            self.arrived(self.create())
            way.freeze()
            waited = self.arrived(self.create())
            again = self.arrived(self.create())
        said = f"{waited:.1f} s; the next job {again:.1f} s"
        return [("connection to Redis swallows everything: consuming again", "≤ 60 s", said)]

    def postgres_away(self) -> list[Row]:
        before = {name: process.pid for name, process in self.stack.processes.items() if name != "postgres"}
        self._restart("postgres", pause=3)
        waited = until(self._takes_a_job, 0.5)
        dead = [name for name, pid in before.items() if name != "worker" and not psutil.pid_exists(pid)]
        said = f"{waited:.1f} s, {len(dead)} processes died"
        return [("Postgres restarted (3 s away): a job is at the provider after", "-", said)]

    def _takes_a_job(self) -> bool:
        try:
            self.arrived(self.create())
        except Exception:
            return False
        return True

    def redis_away(self, how: str, seconds: float) -> list[Row]:
        took, ids = [], []
        tier, valkey = self.stack.crew.members["valkey"]
        valkey.stop() if how == "refuses" else valkey.process.send_signal(signal.SIGSTOP)
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            started = time.monotonic()
            ids.append(self.create())
            took.append((time.monotonic() - started) * 1000)
            time.sleep(0.2)
        if how == "refuses":
            self.stack.crew.start(valkey.program, Tier(tier))
        else:
            valkey.process.send_signal(signal.SIGCONT)
        drained = self.arrived(*ids)
        return [
            (f"Redis {how} for {seconds:g} s: creates", "p99 < 500 ms", in_words(sorted(took))),
            (f"Redis {how}: all of them at the provider after", "≤ 120 s", f"{drained:.1f} s"),
        ]


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
