"""The servers that `benchmarks.outages` disturbs: creates jobs, suspends and restarts processes, waits for states."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import psutil
from redis import Redis
from sqlmodel import col, select

from benchmarks.stack import Measured, uploaded
from cli.local import commands
from shared.database import transaction
from shared.jobs.models import Job

MODEL = "gpt-4o-mini"
TIMEOUT_SECONDS = 300.0
WORKER_START_SECONDS = 4.0
Row = tuple[str, str, str]


def seconds_until(is_so: Callable[[], bool], every: float = 0.1) -> float:
    """Waits until `is_so()`; raises RuntimeError after five minutes."""
    started = time.monotonic()
    while not is_so():
        if time.monotonic() - started > TIMEOUT_SECONDS:
            raise RuntimeError("the expected state was not reached within five minutes")
        time.sleep(every)
    return time.monotonic() - started


class Bench:
    """The running servers, clients for them, and one checked dataset."""

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

    def count_not_at_provider(self, ids: list[str]) -> int:
        with transaction() as session:
            query = select(Job.id).where(col(Job.id).in_(ids), col(Job.provider_job_id).is_(None))
            return len(session.exec(query).all())

    def seconds_until_at_provider(self, *ids: str, every: float = 0.1) -> float:
        return seconds_until(lambda: self.count_not_at_provider(list(ids)) == 0, every)

    @contextmanager
    def suspended(self, *names: str) -> Iterator[None]:
        """These servers and their child processes get no processor time inside the block."""
        parents = [psutil.Process(self.stack.supervisor.members[name][1].pid) for name in names]
        processes = [each for parent in parents for each in (parent, *parent.children(recursive=True))]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def restart(self, name: str, pause_seconds: float) -> None:
        tier, child = self.stack.supervisor.members[name]
        child.stop(30)
        time.sleep(pause_seconds)
        self.stack.supervisor.start(child.program, tier)

    @contextmanager
    def another_worker(
        self, app: str = "worker.app", concurrency: int = 2, variables: dict[str, str] | None = None
    ) -> Iterator[psutil.Process]:
        """Replaces the deployment's own worker, which is suspended inside the block."""
        command = [app if word == "worker.app" else word for word in commands.worker(concurrency)]
        with self.suspended("worker"), tempfile.TemporaryFile("w+") as log:
            environ = dict(os.environ) | (variables or {})
            worker = subprocess.Popen(command, env=environ, cwd=commands.ROOT, stdout=log, stderr=log)
            time.sleep(WORKER_START_SECONDS)
            yield psutil.Process(worker.pid)
            worker.terminate()
            worker.wait()


def latencies(milliseconds: list[float]) -> str:
    ordered = sorted(milliseconds)
    p99, median = ordered[int(len(ordered) * 0.99)], ordered[len(ordered) // 2]
    return f"p99 {p99:.0f} ms, median {median:.0f} ms of {len(ordered)}"
