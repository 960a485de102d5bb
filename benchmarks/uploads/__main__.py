"""Measures an upload of 1 GB: its time and memory, the delay of other requests, the bytes read without a key, and how
soon it is checked.

`python -m benchmarks.uploads`
"""

import contextlib
import http.client
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil
from openai import AuthenticationError, OpenAI

from benchmarks.stack import Measured, lines, measured_stack, print_table, wait_until
from benchmarks.uploads import verdict
from benchmarks.uploads.raw_body import FOLDER
from cli.local.commands import api
from tests.servers import free_port, wait_for_port

SIZE = 1 << 30
ATTEMPTS = 10
ROUNDS = 3
CONCURRENT_UPLOADS = 3
REQUEST_INTERVAL_SECONDS = 0.01
HEAD = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.jsonl"\r\n\r\n'
)
TAIL = b"\r\n--b--\r\n"


def main() -> None:
    with TemporaryDirectory() as folder, measured_stack() as stack, _raw_body_server(folder, stack) as raw:
        file = _large(Path(folder) / "large.jsonl")
        stack.openai.models.list()
        growth, seconds = _upload(stack, file)
        pairs = []
        for _ in range(ROUNDS):
            _forget_files(stack)
            pairs.append((_post_raw(raw, file), _post_form(stack, file)))
        taken = [_refused(stack, file) for _ in range(ATTEMPTS)]
    with TemporaryDirectory() as folder, measured_stack() as stack:
        file = _large(Path(folder) / "large.jsonl")
        stack.openai.models.list()
        idle = _livez(stack, lambda: time.sleep(3))
        three, waits = _three(stack, file)
    raw_body, form = (min(times) for times in zip(*pairs, strict=True))
    at_once = f"{CONCURRENT_UPLOADS} uploads of 1 GB at once"
    print_table(
        [
            ("upload of 1 GB by the SDK: growth of the api's RSS", "≤ 32 MB", f"{growth / 1e6:.1f} MB"),
            ("upload of 1 GB by the SDK: time", "-", _rate(seconds)),
            (f"raw body of 1 GB to the disk, best of {ROUNDS}", "-", _rate(raw_body)),
            (f"upload of 1 GB to a folder, best of {ROUNDS}", "-", _rate(form)),
            ("… its time beside that of the raw body", "≤ 1.25 ×", f"{form / raw_body:.2f} ×"),
            (f"{at_once}: growth of the api's RSS", "≤ 32 MB", f"{three / 1e6:.1f} MB"),
            (f"{at_once}: /livez, p99", "< 50 ms", f"{_p99(waits) * 1000:.1f} ms of {len(waits)}"),
            ("/livez of the idle server, p99", "-", f"{_p99(idle) * 1000:.1f} ms of {len(idle)}"),
            (f"bytes read from a wrong key, most of {ATTEMPTS}", "< 1 MB", f"{max(taken) / 1e6:.2f} MB"),
            *verdict.rows(),
        ]
    )


def _large(file: Path) -> Path:
    """1 GB of chat lines."""
    block = lines(10_000)
    with file.open("wb") as content:
        for _ in range(SIZE // len(block)):
            content.write(block)
        content.truncate(SIZE)
        os.fsync(content.fileno())
    return file


@contextlib.contextmanager
def _raw_body_server(folder: str, stack: Measured) -> Iterator[str]:
    """Starts a server with the api's command line and the application of `raw_body`; its address."""
    port = free_port()
    command = [
        part.replace("api.main:create_app", "benchmarks.uploads.raw_body:create_app") for part in api("127.0.0.1", port)
    ]
    environment = {**stack.environ, FOLDER: folder}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _upload(stack: Measured, file: Path) -> tuple[int, float]:
    before, started = stack.processes["api"].memory_info().rss, time.monotonic()
    with _peak(stack.processes["api"]) as peak, file.open("rb") as content:
        stack.openai.files.create(file=content, purpose="user_data")
    return peak[0] - before, time.monotonic() - started


def _post_raw(address: str, file: Path) -> float:
    return _post(f"{address}/", {}, b"", file, b"")


def _post_form(stack: Measured, file: Path) -> float:
    headers = {"authorization": f"Bearer {stack.api_key}", "content-type": "multipart/form-data; boundary=b"}
    return _post(f"{stack.base_url}/files", headers, HEAD, file, TAIL)


def _forget_files(stack: Measured) -> None:
    """Deletes all files, so that each round finds the same free disk and page cache."""
    client = stack.openai
    for file in client.files.list():
        client.files.delete(file.id)
    storage = Path(stack.environ["TUNERY_STORAGE"])
    wait_until(lambda: not any(storage.iterdir()), "the bytes of deleted files are removed")


def _post(url: str, headers: dict[str, str], head: bytes, file: Path, tail: bytes) -> float:
    """Seconds until the answer; the kernel sends the file, so the client needs hardly any CPU."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    started = time.monotonic()
    connection.putrequest("POST", parts.path)
    for name, value in {**headers, "content-length": str(len(head) + file.stat().st_size + len(tail))}.items():
        connection.putheader(name, value)
    connection.endheaders(head or None)
    with file.open("rb") as content:
        connection.sock.sendfile(content)
    connection.send(tail)
    response = connection.getresponse()
    seconds, answer = time.monotonic() - started, response.read()
    if response.status != 200:
        raise RuntimeError(f"{url}: {response.status} {answer!r}")
    connection.close()
    return seconds


def _three(stack: Measured, file: Path) -> tuple[int, list[float]]:
    """Growth of the api's RSS, and the seconds of each /livez request, during the uploads."""
    process = stack.processes["api"]
    before = process.memory_info().rss

    def upload() -> None:
        with ThreadPoolExecutor(CONCURRENT_UPLOADS) as pool:
            list(pool.map(lambda _: _post_form(stack, file), range(CONCURRENT_UPLOADS)))

    with _peak(process) as peak:
        waits = _livez(stack, upload)
    return peak[0] - before, waits


def _livez(stack: Measured, meanwhile: Callable[[], None]) -> list[float]:
    """Seconds of each /livez request during `meanwhile`, 100 a second on one connection."""
    parts, waits = urlsplit(stack.base_url), list[float]()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(meanwhile)
        while not going_on.done():
            started = time.monotonic()
            connection.request("GET", "/livez")
            connection.getresponse().read()
            waits.append(time.monotonic() - started)
            time.sleep(REQUEST_INTERVAL_SECONDS)
        going_on.result()
    return waits


def _p99(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.99)]


def _rate(seconds: float) -> str:
    return f"{seconds:.2f} s, {SIZE / 1e6 / seconds:.0f} MB/s"


@contextlib.contextmanager
def _peak(process: psutil.Process) -> Iterator[list[int]]:
    """The largest RSS, sampled every 10 ms."""
    peak, done = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield peak
    done.set()
    watcher.join()


def _refused(stack: Measured, file: Path) -> int:
    """Bytes that the api's process read while the official SDK sent 1 GB with an unknown key."""
    process = stack.processes["api"]
    before = process.io_counters().read_chars
    client = OpenAI(base_url=stack.base_url, api_key="sk-tun-unknown", max_retries=0)
    with file.open("rb") as content, contextlib.suppress(AuthenticationError):
        client.files.create(file=content, purpose="user_data")
        raise RuntimeError("an unknown key was accepted")
    time.sleep(0.2)
    return int(process.io_counters().read_chars - before)


if __name__ == "__main__":
    main()
