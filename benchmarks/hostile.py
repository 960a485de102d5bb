"""Measures honest requests during an attack by slow connections and oversized bodies; or sends every hostile input.

`python -m benchmarks.hostile` retrieves a job again and again, first alone, then beside 1,000 slow connections, each
reopened when the server closes it, and bodies of 100 MB. `python -m benchmarks.hostile inputs` sends each hostile
input at each position of each operation.
"""

import http.client
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.stack import Measured, measured_stack, print_table, uploaded

if TYPE_CHECKING:
    from tests.api.attack import Attack
    from tests.api.wire import Answer

SLOW_CONNECTIONS = 1000
BYTE_INTERVAL_SECONDS = 5.0  # of a slow connection
SECONDS = 45.0  # longer than each timeout of the server
CLIENTS = 2
LARGE_BODY_BYTES = 100_000_000


class Crowd:
    """Slow connections: one half never completes the request head, the other never the body."""

    def __init__(self, stack: Measured) -> None:
        self._address = urlsplit(stack.base_url)
        self._key = stack.api_key
        self.opened = self.answered = 0

    def keep_open(self, is_over: threading.Event) -> None:
        crowd = [self._open(number) for number in range(SLOW_CONNECTIONS)]
        while not is_over.wait(BYTE_INTERVAL_SECONDS):
            for number, connection in enumerate(crowd):
                try:
                    connection.sendall(b"a")
                    if connection.recv(65536):
                        self.answered += 1
                    raise ConnectionError
                except BlockingIOError:
                    continue
                except OSError:
                    connection.close()
                    crowd[number] = self._open(number)
        for connection in crowd:
            connection.close()

    def _open(self, number: int) -> socket.socket:
        connection = socket.create_connection((self._address.hostname, self._address.port), timeout=30)
        head = f"POST /v1/fine_tuning/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self._key}\r\n"
        rest = "x-slow: " if number % 2 else 'content-type: application/json\r\ncontent-length: 90000\r\n\r\n{"a": "'
        connection.sendall((head + rest).encode())
        connection.setblocking(False)
        self.opened += 1
        return connection


class Flood:
    """Sends bodies of 100 MB, alternately with a content-length and chunked."""

    def __init__(self, stack: Measured) -> None:
        self._stack = stack
        self.statuses: list[int] = []

    def send_all(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            self.statuses.append(self._send(is_chunked=len(self.statuses) % 2 == 1))
            is_over.wait(0.5)

    def _send(self, is_chunked: bool) -> int:
        address = urlsplit(self._stack.base_url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        headers = {"authorization": f"Bearer {self._stack.api_key}", "content-type": "application/json"}
        if not is_chunked:
            headers["content-length"] = str(LARGE_BODY_BYTES)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", f"{address.path}/fine_tuning/jobs", _chunks(), headers)
            return connection.getresponse().status
        except OSError:
            return 0  # the answer was lost with the connection
        finally:
            connection.close()


def _chunks() -> Iterator[bytes]:
    yield b'{"a": "'
    for _ in range(LARGE_BODY_BYTES // 65536):
        yield b"a" * 65536


def slow() -> None:
    with measured_stack() as stack:
        client = stack.openai
        job_id = client.fine_tuning.jobs.create(training_file=uploaded(client), model="gpt-4o-mini").id
        alone = _ask(stack, job_id, 10)
        crowd, flood = Crowd(stack), Flood(stack)
        with _meanwhile(crowd.keep_open, flood.send_all), _largest(stack) as largest:
            time.sleep(2)
            beside = _ask(stack, job_id, SECONDS)
    refused = f"{flood.statuses.count(413)} of {len(flood.statuses)}"
    print_table(
        [
            ("job retrieve: p50, p99 alone", "", _p50_p99(alone)),
            ("the same during the attack: p50, p99", "p99 < 500 ms", _p50_p99(beside)),
            ("api: largest RSS", "< 512 MB", f"{max(largest):.0f} MB"),
            ("slow connections opened, ended with an answer", "", f"{crowd.opened}, {crowd.answered}"),
            ("bodies of 100 MB refused with 413", "all", refused),
        ]
    )


def _ask(stack: Measured, job_id: str, seconds: float) -> list[float]:
    """The time of each request in milliseconds."""
    address, until, took = urlsplit(stack.base_url), time.monotonic() + seconds, list[float]()

    def client() -> None:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        while (began := time.monotonic()) < until:
            headers = {"authorization": f"Bearer {stack.api_key}"}
            connection.request("GET", f"{address.path}/fine_tuning/jobs/{job_id}", headers=headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"an honest request was answered with {response.status}")
            took.append((time.monotonic() - began) * 1000)
            time.sleep(0.01)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def _p50_p99(took: list[float]) -> str:
    return f"{statistics.median(took):.0f} ms, {statistics.quantiles(took, n=100)[98]:.0f} ms of {len(took)}"


@contextmanager
def _meanwhile(*works: Callable[[threading.Event], None]) -> Iterator[None]:
    is_over = threading.Event()
    threads = [threading.Thread(target=work, args=(is_over,)) for work in works]
    for thread in threads:
        thread.start()
    yield
    is_over.set()
    for thread in threads:
        thread.join()


@contextmanager
def _largest(stack: Measured) -> Iterator[list[float]]:
    """The api's memory in MB, sampled ten times a second."""
    found: list[float] = []

    def sample(is_over: threading.Event) -> None:
        while not is_over.wait(0.1):
            found.append(stack.processes["api"].memory_info().rss / 1e6)

    with _meanwhile(sample):
        yield found


def inputs() -> None:
    from tests.api.attack import prepare
    from tests.world import Person

    with measured_stack(TUNERY_LOG_LEVEL="error") as stack:
        attack = prepare(Person(stack.base_url, stack.api_key, stack.project_id), stack.admin_key)
        answers, failed, echoed = 0, 0, 0
        for where, answer in _answers(attack):
            answers += 1
            is_named = answer.status == 404
            failed += answer.status >= 500
            echoes = answer.status >= 400 and not is_named and b"CANARY" in answer.body
            echoed += echoes
            if answer.status >= 500 or echoes:
                print(where, answer.status, answer.text[:200], flush=True)
    print_table(
        [
            ("operations, requests", "", f"{len(attack.operations)}, {answers}"),
            ("answered with 500 or more", "0", str(failed)),
            ("errors that repeat a secret", "0", str(echoed)),
        ]
    )


def _answers(attack: "Attack") -> "Iterator[tuple[str, Answer]]":
    from tests.api.hostile import BODIES, HEADERS, TEXTS, VALUES, in_place, spoilt

    for each in attack.operations:
        ids = attack.ids_for(each)
        for headers in HEADERS:
            yield f"{each.name} {headers}", attack.ask(each, headers=headers)
        for name, body in BODIES.items():
            yield f"{each.name} {name}", attack.ask(each, body=body)
        for name, text in TEXTS.items():
            for spoiled in each.in_path:
                yield f"{each.name} {spoiled}: {name}", attack.ask(each, each.address({**ids, spoiled: text}))
            for query in (*(f"{parameter}={text}" for parameter in each.in_query), f"{text}={text}"):
                yield f"{each.name} ?{query[:80]}", attack.ask(each, f"{each.address(ids)}?{query}")
        for where, body in spoilt(each.body) if each.body is not None else ():
            for name, literal in VALUES.items():
                yield f"{each.name} {where}: {name}", attack.ask(each, body=in_place(body, literal))


if __name__ == "__main__":
    inputs() if "inputs" in sys.argv[1:] else slow()
