"""Measures the response times of one project while another one sends 1,000 requests a second.

`python -m benchmarks.neighbours`

Both list their jobs at one api process. The loud project sends on many connections, from a process of its own; the
table shows how much CPU that process takes from the machine. The quiet project is measured alternately alone and
beside the loud one, because the machine's speed changes.
"""

import multiprocessing
import os
import socket
import statistics
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from urllib.parse import urlsplit

from benchmarks.stack import Measured, cpu_seconds, measured_stack, print_table
from shared.database import get_engine, transaction
from shared.projects import service as projects

LIMIT_PER_MINUTE = "6000"  # the default
REQUESTS_PER_SECOND = 1000
CONNECTIONS = 20
ROUNDS, SECONDS = 4, 6.0
WARM_UP_SECONDS = 5.0  # the loud project's first requests are a burst that its limit allows
REQUEST_INTERVAL_SECONDS = 0.02  # of the quiet project
Row = tuple[str, str, str]


def main() -> None:
    with measured_stack(TUNERY_LOG_LEVEL="warning", TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE=LIMIT_PER_MINUTE) as stack:
        os.environ.update(stack.environ)
        loud, quiet = _key("loud"), _key("quiet")
        get_engine().dispose()
        asked(stack, quiet, 3)
        alone, beside, noise = [], [], Noise()
        for _ in range(ROUNDS):
            alone += asked(stack, quiet, SECONDS)
            beside += _beside(stack, loud, quiet, noise)
    counted = ROUNDS * SECONDS
    refused = noise.answers[429] / max(1, noise.answers.total())
    print_table(
        [
            ("quiet project alone: p50 / p99", "", times(alone)),
            ("beside 1,000 requests/s of another: p50 / p99", "p99 ≤ 2 ×", times(beside)),
            ("p99, times its value alone", "≤ 2", f"{p99(beside) / p99(alone):.1f}"),
            ("loud project: requests/s, refused", "1,000", f"{noise.answers.total() / counted:.0f}, {refused:.0%}"),
            ("loud project's own CPU", "", f"{noise.cpu / ROUNDS / (WARM_UP_SECONDS + SECONDS):.0%} of a core"),
            ("the api's CPU meanwhile", "", f"{noise.api_cpu / counted:.0%} of a core"),
        ]
    )


@dataclass
class Noise:
    """The answers to the loud project by status, and the CPU seconds of its process and of the api."""

    answers: Counter[int] = field(default_factory=Counter)
    cpu: float = 0.0
    api_cpu: float = 0.0


def _key(name: str) -> str:
    with transaction() as session:
        project = projects.create_project(session, name)
        return projects.create_api_key(session, project.id, name)[1]


def _request(base_url: str, key: str) -> bytes:
    address = urlsplit(base_url)
    path, host = f"{address.path}/fine_tuning/jobs?limit=20", address.netloc
    return f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\r\n".encode()


def _connect(base_url: str) -> socket.socket:
    address = urlsplit(base_url)
    connection = socket.create_connection((address.hostname or "", address.port or 80))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket, request: bytes) -> int:
    """Sends one request and reads its whole answer; the status."""
    connection.sendall(request)
    answer = connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head[9:12])


def asked(stack: Measured, key: str, seconds: float) -> list[float]:
    """The seconds that each request of the quiet project took, one request every 20 ms."""
    connection, request, took = _connect(stack.base_url), _request(stack.base_url, key), []
    end = time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        status = _ask(connection, request)
        took.append(time.monotonic() - started)
        if status != 200:
            raise RuntimeError(f"a request of the quiet project was answered {status}")
        time.sleep(max(0.0, REQUEST_INTERVAL_SECONDS - took[-1]))
    connection.close()
    return took


def _beside(stack: Measured, loud: str, quiet: str, noise: Noise) -> list[float]:
    """The quiet project's request times in seconds beside the loud one, after the latter's burst."""
    results: Queue[tuple[Counter[int], float]] = multiprocessing.Queue()
    loud_process = multiprocessing.Process(
        target=_send_loudly, args=(stack.base_url, loud, WARM_UP_SECONDS + SECONDS, results)
    )
    loud_process.start()
    time.sleep(WARM_UP_SECONDS)
    before = cpu_seconds(stack.processes["api"])
    took = asked(stack, quiet, SECONDS)
    noise.api_cpu += cpu_seconds(stack.processes["api"]) - before
    answers, cpu = results.get(timeout=60)
    loud_process.join()
    noise.answers += answers
    noise.cpu += cpu
    return took


def _send_loudly(base_url: str, key: str, seconds: float, results: "Queue[tuple[Counter[int], float]]") -> None:
    counts: list[Counter[int]] = [Counter() for _ in range(CONNECTIONS)]
    threads = [threading.Thread(target=_send_on_one_connection, args=(base_url, key, seconds, each)) for each in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((sum(counts, Counter()), time.process_time()))


def _send_on_one_connection(base_url: str, key: str, seconds: float, counted: Counter[int]) -> None:
    connection, request = _connect(base_url), _request(base_url, key)
    now = time.monotonic()
    begin, end, next_at = now + WARM_UP_SECONDS, now + seconds, now
    while (now := time.monotonic()) < end:
        status = _ask(connection, request)
        counted[status] += now >= begin
        next_at = max(next_at + CONNECTIONS / REQUESTS_PER_SECOND, now)
        time.sleep(max(0.0, next_at - time.monotonic()))
    connection.close()


def p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def times(took: list[float]) -> str:
    return f"{statistics.median(took) * 1000:.1f} / {p99(took) * 1000:.1f} ms"


if __name__ == "__main__":
    main()
