"""Measures what one project's attack on the workers costs another: the check of its 12-line file, and its reads.

`python -m benchmarks.shares [drip] [braces] [files] [jobs] [account]`

`drip`: four datasets from an address that sends a byte every 4 s. `braces`: two files of 9 MB with lines of `{}`.
`files`: 5,000 small files wait for their check. `jobs`: 1,000 jobs wait for their steps. `account`: an account of the
project's own whose provider sends a byte every 4 s. Without a name, all of them, each with servers of its own.
"""

import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil
from openai import OpenAI
from pydantic import SecretStr

from benchmarks.neighbours import asked, p99, times
from benchmarks.stack import Measured, cpu_seconds, lines, measured_stack, print_table, uploaded
from shared.database import get_engine, transaction
from shared.datasets.models import Dataset, Purpose
from shared.datasets.storage import store
from shared.db.claims import make_due
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialCreate

SECONDS = 15.0  # of each measurement, alone and beside the attack
MAX_CHECK_SECONDS = 60.0
BYTE_INTERVAL_SECONDS = 4.0
SETTLE_SECONDS = 3.0  # from the beginning of an attack to the first measurement
DRIPS, FILES, JOBS = 4, 5000, 1000
BRACES = b"{}\n" * 3_000_000
FILES_PER_TRANSACTION = 250


@dataclass(frozen=True)
class Tenant:
    stack: Measured
    api_key: str
    project_id: str

    @property
    def openai(self) -> OpenAI:
        return OpenAI(base_url=self.stack.base_url, api_key=self.api_key, max_retries=0)


@contextmanager
def dripping() -> Iterator[str]:
    """The address of a server that begins an answer of 1 MB, and goes on with a byte every 4 s."""
    is_over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n")
            while not is_over.wait(BYTE_INTERVAL_SECONDS):
                connection.sendall(b" ")

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        is_over.set()


@contextmanager
def drip(attacker: Tenant) -> Iterator[None]:
    with dripping() as url:
        for number in range(DRIPS):
            attacker.openai.post("/datasets", body={"url": f"{url}/{number}.jsonl"}, cast_to=object)
        yield


@contextmanager
def braces(attacker: Tenant) -> Iterator[None]:
    for number in range(2):
        attacker.openai.files.create(file=(f"{number}.jsonl", BRACES), purpose="fine-tune")
    yield


@contextmanager
def files(attacker: Tenant) -> Iterator[None]:
    """Written past the api, which would take a minute, but for the wake-up messages as by it."""
    for _ in range(FILES // FILES_PER_TRANSACTION):
        made = [
            Dataset(project_id=attacker.project_id, filename="a.jsonl", bytes=0, sha256="", purpose=Purpose.FINE_TUNE)
            for _ in range(FILES_PER_TRANSACTION)
        ]
        for dataset in made:
            stored = store.store(dataset.id, [lines(12)])
            dataset.bytes, dataset.sha256 = stored.bytes, stored.sha256
        with transaction() as session:
            for dataset in made:
                session.add(dataset)
                make_due(session, dataset)
    yield


@contextmanager
def jobs(attacker: Tenant) -> Iterator[None]:
    file_id = uploaded(attacker.openai)

    def create() -> None:
        for _ in range(JOBS // 4):
            attacker.openai.fine_tuning.jobs.create(training_file=file_id, model="gpt-4o-mini")

    together(create, create, create, create)
    yield


@contextmanager
def account(attacker: Tenant) -> Iterator[None]:
    with dripping() as url, transaction() as session:
        for number in range(DRIPS):
            new = CredentialCreate(name=str(number), base_url=f"{url}/{number}/v1", api_key=SecretStr("sk-slow"))
            credentials.create(session, attacker.project_id, new)
        session.commit()
        yield


ATTACKS = {each.__name__: each for each in (drip, braces, files, jobs, account)}


def tenant(stack: Measured, name: str) -> Tenant:
    with transaction() as session:
        project = projects.create_project(session, name)
        return Tenant(stack, projects.create_api_key(session, project.id, name)[1], project.id)


def together(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def checked(client: OpenAI) -> float:
    """The seconds from the upload of a file of 12 lines to the end of its check, at most a minute."""
    began = time.monotonic()
    file = client.files.create(file=("train.jsonl", lines(12)), purpose="fine-tune")
    while client.files.retrieve(file.id).status == "uploaded" and time.monotonic() - began < MAX_CHECK_SECONDS:
        time.sleep(0.05)
    return time.monotonic() - began


def measured(stack: Measured, key: str) -> tuple[list[float], list[float]]:
    """The seconds that its checks took, and those that its reads took meanwhile."""
    client, checks, reads = OpenAI(base_url=stack.base_url, api_key=key, max_retries=0), list[float](), list[float]()
    is_over = threading.Event()

    def check() -> None:
        until = time.monotonic() + SECONDS
        while not checks or time.monotonic() < until:
            checks.append(checked(client))
            time.sleep(0.5)
        is_over.set()

    together(check, lambda: reads.extend(asked(stack, key, SECONDS)))
    return checks, reads


def cpu(stack: Measured) -> float:
    """Seconds of the worker and its children."""
    worker, found = stack.processes["worker"], 0.0
    for process in (worker, *worker.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found += cpu_seconds(process)
    return found


def measure(name: str) -> list[tuple[str, str, str]]:
    with measured_stack(TUNERY_LOG_LEVEL="warning") as stack:
        os.environ.update(stack.environ)
        attacker, quiet = tenant(stack, "loud"), tenant(stack, "quiet").api_key
        checked(OpenAI(base_url=stack.base_url, api_key=quiet))
        alone_checks, alone_reads = measured(stack, quiet)
        with ATTACKS[name](attacker):
            time.sleep(SETTLE_SECONDS)
            began, before = time.monotonic(), cpu(stack)
            checks, reads = measured(stack, quiet)
            used = (cpu(stack) - before) / (time.monotonic() - began)
        get_engine().dispose()
    return [
        (f"{name}: a neighbour's check alone: median / longest", "", _seconds(alone_checks)),
        (f"{name}: beside the attack", "≤ 2 s", _seconds(checks)),
        (f"{name}: its reads alone: p50 / p99", "", times(alone_reads)),
        (f"{name}: beside the attack", "p99 ≤ 2 ×", f"{times(reads)}, {p99(reads) / p99(alone_reads):.1f} ×"),
        (f"{name}: the worker's CPU meanwhile", "", f"{used:.0%} of a core"),
    ]


def _seconds(took: list[float]) -> str:
    return f"{statistics.median(took):.1f} / {max(took):.1f} s of {len(took)}"


def main() -> None:
    names = sys.argv[1:] or list(ATTACKS)
    print_table([row for name in names for row in measure(name)])


if __name__ == "__main__":
    main()
