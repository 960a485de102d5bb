"""Measures CPU per authenticated request, idle memory and start time of the api.

`python -m benchmarks.requests`
"""

import asyncio
import http.client
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import median
from urllib.parse import urlsplit

from fastapi import FastAPI
from openai import AuthenticationError, BadRequestError, ConflictError, OpenAI
from sqlalchemy import update
from starlette.types import Message

from api.auth.scopes import scope
from api.main import create_app
from benchmarks.stack import Measured, cpu_seconds, measured_stack, print_table, uploaded, wait_until
from cli.local import commands
from cli.processes import ports
from cli.processes.ports import LOCALHOST
from shared.database import transaction
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, Purpose
from shared.jobs import metrics
from shared.jobs.models import Job, JobEvent, JobStatus
from shared.projects import callers, keys
from shared.projects import service as projects

READS = {
    "/fine_tuning/jobs/{id}": ("job retrieve", "≤ 0.6 ms"),
    "/fine_tuning/jobs?limit=20": ("job list of 20", "≤ 1.1 ms"),
    "/fine_tuning/jobs/{id}/events?limit=100": ("events of 100", "≤ 1.5 ms"),
    "/files?limit=20": ("file list of 20", "≤ 1 ms"),
}
REQUESTS = 2000
CLIENTS = 4


def main() -> None:
    with measured_stack() as stack:
        idle = stack.processes["api"].memory_info().rss / 1e6
        start = _start(stack)
        job_ids = _jobs(stack, 20)
        os.environ.update({**stack.environ, "TUNERY_LOG_LEVEL": "warning"})  # for what this process does itself
        ask(stack, "/fine_tuning/jobs", 200)
        add_events(stack, job_ids[0], 100)
        _add_curves(stack)
        _add_files(stack, 20)
        costs = {path: ask(stack, path.format(id=job_ids[0]), REQUESTS) for path in READS}
        chat = _chat_of_1_mb(stack, 50)
        added = _authentication(stack)
        accepted = max(_seconds_until_refused(stack) for _ in range(5))
    print_table(
        [
            ("api: start to first 200", "≤ 3 s", f"{start:.2f} s"),
            ("api: idle RSS", "≤ 150 MB", f"{idle:.0f} MB"),
            *(
                (f"{READS[path][0]}: CPU per request", READS[path][1], f"{cost * 1000:.2f} ms")
                for path, cost in costs.items()
            ),
            ("POST of 1 MB, a chat passed on: CPU per request", "≤ 6 ms", f"{chat * 1000:.2f} ms"),
            ("authentication: CPU added per request", "≤ 0.3 ms", f"{added * 1000:.2f} ms"),
            ("revoked key: still accepted, at most", "≤ 1 s", f"{accepted:.2f} s"),
        ]
    )


def _chat_of_1_mb(stack: Measured, count: int) -> float:
    """Seconds of CPU of the api for a question of 1 MB, whose answer is short."""
    client, api = stack.openai, stack.processes["api"]
    question = "Where is my parcel? " * 50_000
    for number in range(count + 1):
        if number == 1:  # after one that has made the client to the provider
            before = cpu_seconds(api)
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": question}])
    return (cpu_seconds(api) - before) / count


def _start(stack: Measured) -> float:
    """Seconds from the start of another api process to its first 200; the best of three, as the page cache is warm."""
    return min(_first_answer(stack) for _ in range(3))


def _first_answer(stack: Measured) -> float:
    started = time.monotonic()
    with fresh_api(stack) as address:
        wait_until(lambda: _answers(urlsplit(address).port or 0), "a fresh api answers", every=0.01)
        return time.monotonic() - started


@contextmanager
def fresh_api(stack: Measured) -> Iterator[str]:
    """The address of another api process, as soon as it listens."""
    with socket.socket() as listener:
        listener.bind((LOCALHOST, 0))
        port = listener.getsockname()[1]
    process = subprocess.Popen(commands.api(LOCALHOST, port), env=dict(stack.environ), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: ports.is_listening(port), "a fresh api listens", every=0.01)
        yield f"http://{LOCALHOST}:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOCALHOST, port)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _jobs(stack: Measured, count: int) -> list[str]:
    """Jobs that have ended, so that the worker is idle during the measurement. Most are cancelled in time."""
    client = stack.openai
    file_id = uploaded(client)
    ids = [client.fine_tuning.jobs.create(training_file=file_id, model="gpt-4o-mini").id for _ in range(count)]
    for id in ids:
        with suppress(BadRequestError, ConflictError):  # it has ended
            client.fine_tuning.jobs.cancel(id)

    def have_ended() -> bool:
        return all(JobStatus(job.status).is_final for job in client.fine_tuning.jobs.list(limit=count).data)

    wait_until(have_ended, f"{count} jobs have ended")
    return ids


def add_events(stack: Measured, job_id: str, count: int) -> None:
    with transaction(stack.project_id) as session:
        for step in range(count):
            metrics = {"step": step, "total_steps": count, "train_loss": 1.25, "train_mean_token_accuracy": 0.8}
            message = f"Step {step}/{count}: training loss=1.25"
            session.add(
                JobEvent(project_id=stack.project_id, job_id=job_id, type="metrics", message=message, data=metrics)
            )


def _add_curves(stack: Measured) -> None:
    """What a trained job keeps of its metrics, which these have not: a job is read most often when it has some."""
    curve = [[step, 1.25 + 1 / (step + 3)] for step in range(metrics.CURVE_POINTS)]
    with transaction(stack.project_id) as session:
        session.exec(update(Job).values(loss_summary={"train_loss": curve, "valid_loss": 1.25}))


def _add_files(stack: Measured, count: int) -> None:
    with transaction(stack.project_id) as session:
        for number in range(count):
            name = f"{number}.jsonl"
            file = Dataset(project_id=stack.project_id, filename=name, bytes=1, sha256="", purpose=Purpose.EVALS)
            datasets.create(session, file, None)


def ask(stack: Measured, path: str, requests: int) -> float:
    """CPU seconds of the api's process per request, sent by several clients over kept-alive connections."""
    address = urlsplit(stack.base_url)
    headers = {"authorization": f"Bearer {stack.api_key}"}

    def client() -> None:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        for _ in range(requests // CLIENTS):
            connection.request("GET", address.path + path, headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{path}: {response.status}")

    before = cpu_seconds(stack.processes["api"])
    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (cpu_seconds(stack.processes["api"]) - before) / (requests // CLIENTS * CLIENTS)


def _authentication(stack: Measured) -> float:
    """CPU seconds that checking a key and its scope adds to an empty request; measured on the app, without a server."""
    app = create_app()
    app.add_api_route("/plain", _nothing)
    app.add_api_route("/v1/locked", _nothing, dependencies=[scope("jobs")])
    return asyncio.run(_difference(app, f"Bearer {stack.api_key}".encode()))


def _seconds_until_refused(stack: Measured) -> float:
    """Seconds from the revocation of a key that is in use until the api refuses it."""
    with transaction() as session:
        key, secret = projects.create_api_key(session, callers.authenticate(session, stack.api_key).project_id, "new")
    with OpenAI(base_url=stack.base_url, api_key=secret) as client:
        client.models.list()
        with transaction() as session:
            keys.revoke(keys.find_key(session, key.id, is_admin=False))
        revoked = time.monotonic()
        with suppress(AuthenticationError):
            while True:
                client.models.list()
    return time.monotonic() - revoked


async def _nothing() -> None:
    pass


async def _difference(app: FastAPI, authorization: bytes) -> float:
    """The median difference of rounds that measure both routes in turn, because the machine's speed changes."""
    rounds = [[await _seconds(app, path, authorization) for path in ("/plain", "/v1/locked")] for _ in range(21)]
    return median(locked - plain for plain, locked in rounds[1:])


async def _seconds(app: FastAPI, path: str, authorization: bytes) -> float:
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [(b"authorization", authorization)], "http_version": "1.1", "scheme": "http"}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"{path}: {message['status']}")

    before = time.process_time()
    for _ in range(REQUESTS // 10):
        await app({**scope}, receive, send)
    return (time.process_time() - before) / (REQUESTS // 10)


if __name__ == "__main__":
    main()
