"""What an upload costs the api: memory for one of 1 GB, and what is taken from a client without a key.

`python -m benchmarks.uploads`
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from openai import AuthenticationError, OpenAI

from benchmarks.stack import Measured, measured_stack, print_table

SIZE = 1 << 30
ATTEMPTS = 10


def main() -> None:
    with TemporaryDirectory() as folder, measured_stack() as stack:
        file = Path(folder) / "large.jsonl"
        with file.open("wb") as sparse:
            sparse.truncate(SIZE)
        stack.openai.models.list()
        growth, seconds = _upload(stack, file)
        taken = [_refused(stack, file) for _ in range(ATTEMPTS)]
    print_table(
        [
            ("upload of 1 GB: growth of the api's RSS", "≤ 32 MB", f"{growth / 1e6:.1f} MB"),
            ("upload of 1 GB: time", "-", f"{seconds:.1f} s, {SIZE / 1e6 / seconds:.0f} MB/s"),
            (f"bytes read from a wrong key, most of {ATTEMPTS}", "< 1 MB", f"{max(taken) / 1e6:.2f} MB"),
        ]
    )


def _upload(stack: Measured, file: Path) -> tuple[int, float]:
    process = stack.processes["api"]
    before, started = process.memory_info().rss, time.monotonic()
    with _peak(process) as peak, file.open("rb") as content:
        stack.openai.files.create(file=content, purpose="user_data")
    return peak[0] - before, time.monotonic() - started


@contextlib.contextmanager
def _peak(process: psutil.Process) -> Iterator[list[int]]:
    """The largest RSS seen, looked at every 10 ms."""
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
    """Bytes that the api's process read while the official SDK offered 1 GB with a key that nobody knows."""
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
