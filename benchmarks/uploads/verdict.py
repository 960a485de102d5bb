"""Measures how soon after its last byte a file of 1 GB that comes at the speed of a network is checked, with tokens.

`python -m benchmarks.uploads.verdict [--text NAME] [--rounds 2] [--mb-per-second 125]`
"""

import argparse
import http.client
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil

from benchmarks.datasets.__main__ import MAIN
from benchmarks.stack import Measured, Row, cpu_seconds, measured_stack, noted, print_table, wait_until

NETWORK = 125  # MB/s: 1 Gbit/s
PIECE_BYTES = 1 << 20
HEAD = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.jsonl"\r\n\r\n'
)
TAIL = b"\r\n--b--\r\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", default="long documents", choices=MAIN)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--mb-per-second", type=float, default=NETWORK)
    asked = parser.parse_args()
    print_table(list(noted(rows(asked.text, asked.rounds, asked.mb_per_second))))


def rows(text: str = "long documents", rounds: int = 2, speed: float = NETWORK) -> Iterator[Row]:
    """The first round begins with workers that have counted no tokens yet."""
    with TemporaryDirectory() as folder, measured_stack() as stack:
        file = MAIN[text](Path(folder) / "large.jsonl", 1000)
        for number in range(rounds):
            what = f"1 GB of {text} at {speed:g} MB/s, {'again' if number else 'the first file of its workers'}"
            before = os.getloadavg()[0]
            with _peak(stack.processes["worker"]) as peak:
                sending, answered, processed, counted = _send(stack, file, speed, worker := Spent(stack, "worker"))
            yield f"{what}: seconds of sending", f"{1000 / speed:.1f}", f"{sending:.2f} (load before {before:.1f})"
            yield "… last byte → answer", "-", f"{answered:.2f} s"
            yield "… last byte → verdict", "-", f"{processed:.2f} s"
            yield "… last byte → verdict with tokens", "≤ 2 s", f"{counted:.2f} s"
            yield "… CPU of the worker after the last byte", "-", f"{worker.after:.1f} s of {worker.total():.1f}"
            yield "… RSS of the worker's processes: idle, most", "≤ 400 MB more", f"{peak[0]:.0f}, {peak[1]:.0f} MB"


class Spent:
    """CPU seconds of a server and its children; those of processes that have ended meanwhile are theirs no more."""

    def __init__(self, stack: Measured, name: str) -> None:
        self._process, self.after = stack.processes[name], 0.0
        self._began = self._now()

    def last_byte(self) -> None:
        self._before_last = self._now()

    def total(self) -> float:
        now = self._now()
        self.after = now - self._before_last
        return now - self._began

    def _now(self) -> float:
        total = 0.0
        for each in _family(self._process):
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += cpu_seconds(each) + times.children_user + times.children_system
        return total


def _send(stack: Measured, file: Path, speed: float, spent: Spent) -> tuple[float, float, float, float]:
    """Seconds of sending; from the last byte to the answer, the end of the check, and that of the count of tokens."""
    parts, size = urlsplit(stack.base_url), file.stat().st_size
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.putrequest("POST", f"{parts.path}/files")
    connection.putheader("authorization", f"Bearer {stack.api_key}")
    connection.putheader("content-type", "multipart/form-data; boundary=b")
    connection.putheader("content-length", str(len(HEAD) + size + len(TAIL)))
    connection.endheaders(HEAD)
    began = time.monotonic()
    with file.open("rb") as content:
        for offset in range(0, size, PIECE_BYTES):
            time.sleep(max(0.0, began + offset / speed / 1e6 - time.monotonic()))
            connection.sock.sendfile(content, offset, PIECE_BYTES)
    connection.send(TAIL)
    last = time.monotonic()
    spent.last_byte()
    response = connection.getresponse()
    answered, answer = time.monotonic(), response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status} {answer!r}")
    processed, counted = _watch(stack, httpx2.Response(200, content=answer).json()["id"])
    spent.total()
    return last - began, answered - last, processed - last, counted - last


def _watch(stack: Measured, file_id: str) -> tuple[float, float]:
    """When the check had ended, and when the tokens were counted."""
    with httpx2.Client(headers={"authorization": f"Bearer {stack.api_key}"}) as client:
        seen: list[dict[str, Any]] = []

        def look() -> dict[str, Any]:
            seen.append(client.get(f"{stack.base_url}/datasets/{file_id}").raise_for_status().json())
            return seen[-1]

        wait_until(lambda: look()["status"] not in ("uploaded", "checking"), "the file is checked", every=0.02)
        processed = time.monotonic()
        if seen[-1]["status"] != "processed":
            raise RuntimeError(f"the check failed: {seen[-1]}")
        wait_until(lambda: look()["tokens_counted"], "its tokens are counted", every=0.02)
        return processed, time.monotonic()


@contextmanager
def _peak(process: psutil.Process) -> Iterator[list[float]]:
    """The RSS in MB of a server and its children: now, and the most of it, seen every 50 ms."""
    seen, done = [_rss(process)] * 2, threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen[1] = max(seen[1], _rss(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield seen
    done.set()
    watcher.join()


def _rss(process: psutil.Process) -> float:
    total = 0
    for each in _family(process):
        with suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total / 1e6


def _family(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):  # one that ends while they are listed
        return [process, *process.children(recursive=True)]
    return [process]


if __name__ == "__main__":
    main()
