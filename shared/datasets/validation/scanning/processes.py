"""Checks the ranges of a large file in processes of their own, each of which opens it again (`child.py`).

They are started as commands, not by `multiprocessing`: so a Celery worker, whose own processes may have no children of
that kind, can use all cores too, and each process holds nothing but what a check needs.
"""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, TypeVar

import msgspec

from shared.datasets.storage.chunks import Across, Piece, Source
from shared.datasets.validation.reading.digest import path_of
from shared.datasets.validation.scanning.part import Part
from shared.datasets.validation.scanning.scan import Job, Scan

RANGE = 2 << 20
SMALL = 16 << 20
ROOT = Path(__file__).parents[4]
Child = subprocess.Popen[bytes]
Message = TypeVar("Message")


class Range(NamedTuple):
    start: int
    end: int


def ranges(size: int) -> list[Range]:
    """A file in pieces: so large that starting one costs nothing, so small that all processes end at about one time."""
    return [Range(start, min(start + RANGE, size)) for start in range(0, size, RANGE)]


def parts(file: BinaryIO, job: Job, size: int, processes: int) -> Iterator[Part]:
    """The parts of all ranges, in order. This process is one of those that check; a small file needs no others."""
    source = source_of(file) if processes > 1 and size > SMALL else None
    scan, todo, done, wanted = Scan(job), enumerate(ranges(size)), dict[int, Part](), 0
    with ExitStack() as stack:
        children = [stack.enter_context(_child(source, job)) for _ in range(processes - 1)] if source else []
        helpers = _start(stack, children, todo, done)
        stack.callback(lambda: deque(todo, maxlen=0))  # whoever stops halfway leaves nothing to do for the others
        for number, range_ in todo:
            done[number] = scan.range(file, *range_)
            while wanted in done:
                yield done.pop(wanted)
                wanted += 1
        for helper in helpers:
            helper.result()
    yield from (done[number] for number in sorted(done))


def source_of(file: BinaryIO) -> Source | None:
    """Where an open file lies; None if no other process can open it."""
    if isinstance(file, BufferedReader) and isinstance(file.raw, Across):
        return file.raw.source
    path = path_of(file)
    return None if path is None else Source(str(path.parent), [Piece(path.name, path.stat().st_size)])


def _start(
    stack: ExitStack, children: list[Child], todo: Iterator[tuple[int, Range]], done: dict[int, Part]
) -> list[Future[None]]:
    """A thread for each child, that gives it one range after the other as long as there are any."""
    pool = stack.enter_context(ThreadPoolExecutor(len(children))) if children else None
    return [pool.submit(_help, child, todo, done) for child in children] if pool else []


def _help(child: Child, todo: Iterator[tuple[int, Range]], done: dict[int, Part]) -> None:
    for number, range_ in todo:
        done[number] = _ask(child, range_)


@contextmanager
def _child(source: Source, job: Job) -> Iterator[Child]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared.datasets.validation.scanning.child"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    try:
        send(child.stdin, source)
        send(child.stdin, job)
        yield child
    finally:
        child.kill()
        child.communicate()


def _ask(child: Child, range_: Range) -> Part:
    send(child.stdin, range_)
    answer = receive(child.stdout, Part)
    if answer is None:
        raise RuntimeError("A process that checked a part of the file ended before it was done")
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
