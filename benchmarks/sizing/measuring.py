"""Measures what one process of each kind does for its CPU and memory, by the benchmarks of its parts, in one run."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
from redis import Redis

from benchmarks import requests, watching, webhooks
from benchmarks.datasets.chat_files import long_documents
from benchmarks.growth.__main__ import Bench as Growth
from benchmarks.growth.filling import size_mb
from benchmarks.stack import Measured, lines, measured_stack
from shared.broker.queue import Task, enqueue
from shared.database import get_engine
from shared.datasets.validation.check import check

SERVERS = ("api", "worker", "sender", "beat")
IDLE_SECONDS, REQUESTS, JOBS, DELIVERIES, WATCHED, ROWS, MESSAGES, CHECKED_MB = 30, 500, 20, 500, 1000, 3000, 1000, 16
SETTINGS = {
    "TUNERY_PROVIDER__SLOTS": '{"*": 100000}',
    "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "100000",
    "SANDBOX_MAX_JOBS_PER_DAY": "100000",
}


def measure() -> Iterator[dict[str, float]]:
    """The figures by name, part by part. Seconds are of CPU, of all processes of a server together."""
    yield {"load_before": os.getloadavg()[0]}
    yield _rounded(_checks())
    for part in (_servers, _watched_jobs, _stored_rows):
        with measured_stack(**SETTINGS) as stack:
            os.environ.update({**stack.environ, "TUNERY_LOG_LEVEL": "warning"})  # for what this process does itself
            yield _rounded(part(stack))
            get_engine().dispose()


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{figure:.3g}") for name, figure in figures.items()}


def _checks() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = long_documents(Path(folder) / "file.jsonl", CHECKED_MB)
        before = sum(os.times()[:4])
        check(path)
        spent = sum(os.times()[:4]) - before
        return {"worker_seconds_per_mb_checked": spent / (path.stat().st_size / 1e6)}


def _servers(stack: Measured) -> dict[str, float]:
    redis = Redis.from_url(stack.environ["REDIS_URL"])
    time.sleep(15)  # the first account is looked at
    figures = {"redis_bytes_idle": float(dict(redis.info("memory"))["used_memory"])}
    idle = _spent(stack, lambda: time.sleep(IDLE_SECONDS))
    figures |= {f"{name}_cores_idle": spent / IDLE_SECONDS for name, spent in idle.items()}
    figures |= _jobs(stack, redis) | _requests(stack) | _deliveries(stack)
    for name in SERVERS:
        family = _family(stack.processes[name])
        figures[f"{name}_bytes"] = float(sum(each.memory_full_info().pss for each in family))
    backends = stack.processes["postgres"].children()
    figures["postgres_bytes_per_process"] = sum(each.memory_full_info().uss for each in backends) / len(backends)
    return figures | _messages(stack, redis)


def _requests(stack: Measured) -> dict[str, float]:
    job_id = stack.openai.fine_tuning.jobs.list(limit=1).data[0].id
    requests.add_events(stack, job_id, 100)
    figures = {}
    for path, (what, _) in requests.READS.items():
        path, name = path.format(id=job_id), what.replace(" ", "_")
        requests.ask(stack, path, 100)
        spent = _spent(stack, partial(requests.ask, stack, path, REQUESTS))
        figures[f"api_seconds_per_{name}"] = spent["api"] / REQUESTS
        figures[f"postgres_seconds_per_{name}"] = spent["postgres"] / REQUESTS
    return figures


def _jobs(stack: Measured, redis: Redis) -> dict[str, float]:
    """Whole jobs, from the upload of the file to the success that the list shows; nobody polls them in between."""
    sent = _messages_sent(redis)
    spent = _spent(stack, lambda: _train(stack))
    figures = {f"{name}_seconds_per_job": spent[name] / JOBS for name in ("api", "worker", "postgres")}
    return figures | {"redis_messages_per_job": (_messages_sent(redis) - sent) / JOBS}


def _train(stack: Measured) -> None:
    client = stack.openai
    for number in range(JOBS):
        file = client.files.create(file=("train.jsonl", lines(20 + number)), purpose="fine-tune")
        client.fine_tuning.jobs.create(training_file=file.id, model="gpt-4o-mini")
    deadline = time.monotonic() + 600
    while (found := {job.status for job in client.fine_tuning.jobs.list(limit=JOBS).data}) != {"succeeded"}:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the jobs have not succeeded within 600 s: {found}")
        time.sleep(5)


def _messages_sent(redis: Redis) -> int:
    pushes = dict(redis.info("commandstats")).get("cmdstat_lpush", {"calls": 0})
    return int(pushes["calls"])


def _deliveries(stack: Measured) -> dict[str, float]:
    """The figures of the sender include the idle seconds in which the events are written, which are few."""
    bench = webhooks.Bench(stack)
    list(bench.throughput(100))
    spent = _spent(stack, lambda: list(bench.throughput(DELIVERIES)))
    return {f"{name}_seconds_per_delivery": spent[name] / DELIVERIES for name in ("sender", "postgres")}


def _messages(stack: Measured, redis: Redis) -> dict[str, float]:
    for name in ("worker", "beat"):
        stack.processes[name].suspend()
    before = dict(redis.info("memory"))["used_memory"]
    for number in range(MESSAGES):
        enqueue(Task.ADVANCE_JOB, f"ftjob-{number:026}", stack.project_id)
    after = dict(redis.info("memory"))["used_memory"]
    for name in ("worker", "beat"):
        stack.processes[name].resume()
    return {"redis_bytes_per_message": (after - before) / MESSAGES}


def _watched_jobs(stack: Measured) -> dict[str, float]:
    """Jobs at the provider of which nothing is new."""
    watching.Bench(stack).fill(WATCHED)
    time.sleep(15)
    spent = _spent(stack, lambda: time.sleep(2 * IDLE_SECONDS))
    return {f"{name}_cores_per_open_job": spent[name] / 2 / IDLE_SECONDS / WATCHED for name in ("worker", "postgres")}


def _stored_rows(stack: Measured) -> dict[str, float]:
    """What is left of a job that has ended, with ten events of which `job_events` has the bytes."""
    bench = Growth(stack)
    bench.fill(ROWS, "first")  # tables and indexes have a first size that many rows share
    before = size_mb(bench.url), size_mb(bench.url, "job_events")
    bench.fill(ROWS, "second")
    whole, events = size_mb(bench.url) - before[0], size_mb(bench.url, "job_events") - before[1]
    return {
        "postgres_disk_bytes_per_job": 1e6 * (whole - events) / ROWS,
        "postgres_disk_bytes_per_event": 1e6 * events / ROWS / 10,
    }


def _family(mother: psutil.Process) -> list[psutil.Process]:
    return [mother, *mother.children(recursive=True)]


def _spent(stack: Measured, work: Callable[[], object]) -> dict[str, float]:
    """Seconds of CPU of each server meanwhile, its children included, also those that have ended."""
    names = (*SERVERS, "postgres")
    before = {name: _cpu(stack.processes[name]) for name in names}
    work()
    return {name: max(0.0, _cpu(stack.processes[name]) - before[name]) for name in names}


def _cpu(mother: psutil.Process) -> float:
    running = sum(sum(child.cpu_times()[:2]) for child in mother.children(recursive=True))
    return float(sum(mother.cpu_times()[:4]) + running)
