"""What a project notices of another one that sends 1,000 requests a second, and what its limits cost a request.

`python -m benchmarks.neighbours`

Both ask one api process for a list of their jobs. The loud one does not wait for its answers before it sends the next
request on another connection; it is a process of its own, and needs a part of the machine as well: the table says how
much. The quiet one asks by turns alone and beside it, since the machine's pace changes.
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

LIMIT = "6000"  # a minute: the default
A_SECOND = 1000
CONNECTIONS = 20
ROUNDS, SECONDS = 4, 6.0
WARM_UP = 5.0  # of the loud one: its first requests are a burst that it may have
PAUSE = 0.02
Row = tuple[str, str, str]


def main() -> None:
    with measured_stack(TUNERY_LOG_LEVEL="warning", TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE=LIMIT) as stack:
        os.environ.update(stack.environ)
        loud, quiet = _key("loud"), _key("quiet")
        get_engine().dispose()
        _asked(stack, quiet, 3)
        alone, beside, noise = [], [], Noise()
        for _ in range(ROUNDS):
            alone += _asked(stack, quiet, SECONDS)
            beside += _beside(stack, loud, quiet, noise)
    counted = ROUNDS * SECONDS
    refused = noise.answers[429] / max(1, noise.answers.total())
    print_table(
        [
            ("a project alone: p50 / p99", "", _times(alone)),
            ("beside 1,000 requests/s of another: p50 / p99", "p99 ≤ 2 ×", _times(beside)),
            ("p99, times its value alone", "≤ 2", f"{_p99(beside) / _p99(alone):.1f}"),
            ("the loud one: requests/s, refused", "1,000", f"{noise.answers.total() / counted:.0f}, {refused:.0%}"),
            ("the loud one's own CPU", "", f"{noise.cpu / ROUNDS / (WARM_UP + SECONDS):.0%} of a core"),
            ("the api's CPU meanwhile", "", f"{noise.api_cpu / counted:.0%} of a core"),
        ]
    )


@dataclass
class Noise:
    """What the loud one was answered, and the seconds of CPU that it and the api needed."""

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
    """The status; answers are small, and come in one piece or in a few."""
    connection.sendall(request)
    answer = connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head[9:12])


def _asked(stack: Measured, key: str, seconds: float) -> list[float]:
    """How long each request took, in seconds, of somebody who sends one every 20 ms."""
    connection, request, took = _connect(stack.base_url), _request(stack.base_url, key), []
    end = time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        status = _ask(connection, request)
        took.append(time.monotonic() - started)
        if status != 200:
            raise RuntimeError(f"the quiet one was answered {status}")
        time.sleep(max(0.0, PAUSE - took[-1]))
    connection.close()
    return took


def _beside(stack: Measured, loud: str, quiet: str, noise: Noise) -> list[float]:
    """The quiet one's times, once the loud one has warmed up."""
    said: Queue[tuple[Counter[int], float]] = multiprocessing.Queue()
    shouting = multiprocessing.Process(target=_shout, args=(stack.base_url, loud, WARM_UP + SECONDS, said))
    shouting.start()
    time.sleep(WARM_UP)
    before = cpu_seconds(stack.processes["api"])
    took = _asked(stack, quiet, SECONDS)
    noise.api_cpu += cpu_seconds(stack.processes["api"]) - before
    answers, cpu = said.get(timeout=60)
    shouting.join()
    noise.answers += answers
    noise.cpu += cpu
    return took


def _shout(base_url: str, key: str, seconds: float, said: "Queue[tuple[Counter[int], float]]") -> None:
    counts: list[Counter[int]] = [Counter() for _ in range(CONNECTIONS)]
    threads = [threading.Thread(target=_shout_on_one, args=(base_url, key, seconds, each)) for each in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said.put((sum(counts, Counter()), time.process_time()))


def _shout_on_one(base_url: str, key: str, seconds: float, counted: Counter[int]) -> None:
    connection, request = _connect(base_url), _request(base_url, key)
    now = time.monotonic()
    begin, end, next_at = now + WARM_UP, now + seconds, now
    while (now := time.monotonic()) < end:
        status = _ask(connection, request)
        counted[status] += now >= begin
        next_at = max(next_at + CONNECTIONS / A_SECOND, now)
        time.sleep(max(0.0, next_at - time.monotonic()))
    connection.close()


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _times(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:.1f} / {_p99(times) * 1000:.1f} ms"


if __name__ == "__main__":
    main()
