"""Measures the speed of the dataset check beside bare JSON decoding and OpenAI's cookbook, and its memory for 1 GB.

`python -m benchmarks.datasets [--mb 512] [--large-mb 1000] [--only TEXT]`
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
import psutil

from benchmarks.datasets.chat_files import (
    an_error_each,
    foreign,
    long_documents,
    short_messages,
    text_parts,
    tool_calls,
    weights_and_names,
)
from benchmarks.datasets.cookbook import check_as_cookbook
from benchmarks.stack import print_table
from shared.datasets.validation.check import check
from shared.datasets.validation.tokens.encoding import encoding

ROUNDS = 2
Row = tuple[str, str, str]
Write = Callable[[Path, int], Path]
MAIN: dict[str, Write] = {
    "short messages": short_messages,
    "long documents": long_documents,
    "long documents, no system prompt": lambda path, mb: long_documents(path, mb, system=False),
    "tool calls": tool_calls,
    "Japanese, kanji as frequent as in real texts": foreign,
    "Japanese, all kanji equally frequent": lambda path, mb: foreign(path, mb, uniform=True),
}
OTHERS: dict[str, Write] = {
    "tool calls, each line with its own tools": lambda path, mb: tool_calls(path, mb, own=True),
    "weights and names": weights_and_names,
    "text parts": text_parts,
    "an error in each line": an_error_each,
}
ALIKE, LARGE = "lines that all end alike", "everything at once"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=512, help="of each file")
    parser.add_argument("--large-mb", type=int, default=1000, help=f"of the file for {LARGE}")
    parser.add_argument("--only", default="", help="files whose name has this text")
    asked = parser.parse_args()
    rows = [("load before", "-", ", ".join(f"{each:.1f}" for each in os.getloadavg()))]
    with TemporaryDirectory() as folder:
        for name in filter(lambda name: asked.only in name, [*MAIN, *OTHERS, ALIKE, LARGE]):
            rows += _rows(name, Path(folder) / "file.jsonl", asked.large_mb if name == LARGE else asked.mb)
    print_table(rows)


def _rows(name: str, path: Path, megabytes: int) -> Iterator[Row]:
    if name in MAIN:
        MAIN[name](path, megabytes)
        yield from _structure(name, path, "≥ 4 ×" if name == "short messages" else "≥ 2.5 ×")
        yield from _tokens(path)
    elif name in OTHERS:
        yield from _structure(name, OTHERS[name](path, megabytes), "-")
    elif name == ALIKE:
        yield from _ends_alike(short_messages(path, megabytes, alike=True))
    else:
        yield from _large(long_documents(path, megabytes))


class Speed(NamedTuple):
    """MB in a second, and in a second of CPU, that of children included."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} MB/s, {self.cpu:.1f} MB per second of CPU"

    def beside(self, other: "Speed") -> str:
        return f"{self.wall / other.wall:.2f} × ({self})"


def _structure(what: str, path: Path, target: str) -> Iterator[Row]:
    known = _sha256(path)
    bare, cookbook, one, two = _speeds(
        path,
        lambda: _bare(path),
        lambda: check_as_cookbook(path),
        lambda: check(path, tokens=False, sha256=known),
        lambda: check(path, tokens=False, sha256=known, processes=2),
    )
    yield f"the cookbook's checks, {what}", "-", str(cookbook)
    yield "… bare msgspec decoding", "-", bare.beside(cookbook)
    yield "… structure and rules, one process", "-", one.beside(cookbook)
    yield "… structure and rules, two processes", target, two.beside(cookbook)


def _tokens(path: Path) -> Iterator[Row]:
    known = _sha256(path)
    cookbook, one, two = _speeds(
        path,
        lambda: check_as_cookbook(path, encoding("o200k_base").encode_ordinary),
        lambda: check(path, sha256=known),
        lambda: check(path, sha256=known, processes=2),
    )
    yield "… the cookbook's checks and tiktoken", "-", str(cookbook)
    yield "… … with exact tokens, one process", "-", one.beside(cookbook)
    yield "… … with exact tokens, two processes", "≥ 4 ×", two.beside(cookbook)


def _ends_alike(path: Path) -> Iterator[Row]:
    """The worst case of the search for duplicates: it reads all lines again and compares them whole."""
    known = _sha256(path)
    one, two = _speeds(
        path,
        lambda: check(path, tokens=False, sha256=known),
        lambda: check(path, tokens=False, sha256=known, processes=2),
    )
    yield f"{ALIKE}, one process", "-", str(one)
    yield "… two processes", "≥ 100 MB/s", str(two)


def _sha256(path: Path) -> str:
    """Computed outside the measurement: the api has it after an upload, since it hashes the bytes as they arrive."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _large(path: Path) -> Iterator[Row]:
    """Checks the file in a process of its own, to measure the memory of it and its children."""
    code = (
        "import sys; from shared.datasets.validation.check import check; print(check(sys.argv[1], processes=2).valid)"
    )
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as process:
        peak = _peak_of_family(psutil.Process(process.pid))
        process.wait()
    seconds = time.monotonic() - started
    yield f"{path.stat().st_size / 1e9:.1f} GB, {LARGE}, two processes", "< 40 s for 1 GB", f"{seconds:.1f} s"
    yield "… largest RSS of all its processes together", "≤ 400 MB", f"{peak / 1e6:.0f} MB"


def _peak_of_family(process: psutil.Process) -> int:
    peak = 0
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            peak = max(peak, sum(one.memory_info().rss for one in (process, *process.children())))
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.02)
    return peak


def _speeds(path: Path, *works: Callable[[], object]) -> list[Speed]:
    """The best of several rounds each; other load on the machine can only make a round slower."""
    best = [Speed(0, 0)] * len(works)
    for _ in range(ROUNDS):
        for index, work in enumerate(works):
            wall, cpu = time.monotonic(), _cpu()
            work()
            spent = time.monotonic() - wall, _cpu() - cpu
            best[index] = Speed(*(max(*each) for each in zip(best[index], _per(path, *spent), strict=True)))
    return best


def _per(path: Path, *seconds: float) -> list[float]:
    return [path.stat().st_size / 1e6 / each for each in seconds]


def _cpu() -> float:
    return sum(os.times()[:4])


def _bare(path: Path) -> None:
    decode = msgspec.json.decode
    with path.open("rb") as file:
        for line in file:
            decode(line)


if __name__ == "__main__":
    main()
