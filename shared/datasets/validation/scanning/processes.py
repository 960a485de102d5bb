"""Checks the ranges of a large file in several processes, each of which opens the file itself (`child_process`).

The processes are started as commands, not by `multiprocessing`: Celery's worker processes are daemonic and may not have
children of that kind. A command also loads nothing but what a check needs.
"""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, Protocol, TypeVar

import msgspec

from shared.datasets.storage.chunks import JoinedFile, Piece, Source
from shared.datasets.validation.reading.digest import path_of
from shared.datasets.validation.scanning.range_result import RangeResult
from shared.datasets.validation.scanning.scanner import RangeScanner, ScanOptions

RANGE_BYTES = 2 << 20  # large beside the cost of a range, small enough that all processes end at about the same time
MIN_PARALLEL_BYTES = 64 << 20  # a smaller file is checked before other processes have started and can count tokens
ROOT = Path(__file__).parents[4]
Child = subprocess.Popen[bytes]
Message = TypeVar("Message")


class ByteRange(NamedTuple):
    start: int
    end: int


class Request(NamedTuple):
    """What a child does next with the lines that begin in these bytes: check them, or `only_count` them."""

    start: int
    end: int
    only_count: bool


class Known(Protocol):
    """Results of ranges that are known before the scan, by the number of the range. Each is taken once."""

    def __contains__(self, number: int) -> bool: ...

    def take(self, number: int) -> RangeResult: ...


class _InOrder:
    """Yields results in the order of the file: those that are `done`, and those that were known."""

    def __init__(self, known: Known) -> None:
        self.done: dict[int, RangeResult] = {}
        self._known, self._next = known, 0

    def ready(self) -> Iterator[RangeResult]:
        while self._next in self.done or self._next in self._known:
            yield self.done.pop(self._next) if self._next in self.done else self._known.take(self._next)
            self._next += 1


def ranges(size: int) -> list[ByteRange]:
    return [ByteRange(start, min(start + RANGE_BYTES, size)) for start in range(0, size, RANGE_BYTES)]


def scan_file(
    file: BinaryIO, options: ScanOptions, size: int, processes: int, only_count: Callable[[], bool], known: Known
) -> Iterator[RangeResult]:
    """The results of all ranges, in the order of the file, as they are found; those that are `known` are not checked.

    Once `only_count` says so, ranges that are not begun are only counted.

    This process checks ranges too. It starts `processes - 1` others if much is left and the file can be opened again.
    """
    unknown = [(number, each) for number, each in enumerate(ranges(size)) if number not in known]
    is_much = sum(each.end - each.start for _, each in unknown) > MIN_PARALLEL_BYTES
    source = source_of(file) if processes > 1 and is_much else None
    scanner, results, todo = RangeScanner(options), _InOrder(known), iter(unknown)
    with ExitStack() as stack:
        children = [stack.enter_context(_child(source, options)) for _ in range(processes - 1)] if source else []
        feeders = _start_feeders(stack, children, todo, results.done, only_count)
        stack.callback(
            lambda: deque(todo, maxlen=0)
        )  # if the caller stops early, the other processes end after their range
        yield from results.ready()
        for number, range_ in todo:
            results.done[number] = scanner.scan(file, *range_, only_count=only_count())
            yield from results.ready()
        for feeder in feeders:
            feeder.result()
    yield from results.ready()


def source_of(file: BinaryIO) -> Source | None:
    """The storage and the pieces of an open file; None if no other process can open it."""
    if isinstance(file, BufferedReader) and isinstance(file.raw, JoinedFile):
        return file.raw.source
    path = path_of(file)
    return None if path is None else Source(str(path.parent), [Piece(path.name, path.stat().st_size)])


def _start_feeders(
    stack: ExitStack,
    children: list[Child],
    todo: Iterator[tuple[int, ByteRange]],
    done: dict[int, RangeResult],
    only_count: Callable[[], bool],
) -> list[Future[None]]:
    """Start a thread for each child that sends it one range after another. Threads and caller share `todo`."""
    pool = stack.enter_context(ThreadPoolExecutor(len(children))) if children else None
    return [pool.submit(_feed, child, todo, done, only_count) for child in children] if pool else []


def _feed(
    child: Child,
    todo: Iterator[tuple[int, ByteRange]],
    done: dict[int, RangeResult],
    only_count: Callable[[], bool],
) -> None:
    for number, range_ in todo:
        done[number] = _request_scan(child, Request(*range_, only_count()))


@contextmanager
def _child(source: Source, options: ScanOptions) -> Iterator[Child]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared.datasets.validation.scanning.child_process"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    try:
        send(child.stdin, source)
        send(child.stdin, options)
        yield child
    finally:
        child.kill()
        child.communicate()


def _request_scan(child: Child, request: Request) -> RangeResult:
    send(child.stdin, request)
    answer = receive(child.stdout, RangeResult)
    if answer is None:
        raise RuntimeError("A process that checked a range of the file ended before it answered")
    return answer


def send(pipe: IO[bytes] | None, message: Any) -> None:
    assert pipe is not None
    body = msgspec.msgpack.encode(message)
    pipe.write(len(body).to_bytes(4) + body)
    pipe.flush()


def receive(pipe: IO[bytes] | None, type_: type[Message]) -> Message | None:
    assert pipe is not None
    length = pipe.read(4)
    return msgspec.msgpack.decode(pipe.read(int.from_bytes(length)), type=type_) if length else None
