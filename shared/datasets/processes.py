"""Checks the ranges of a large file in processes of their own: `python -m shared.datasets.processes` is one of them.

They are started as commands, not by `multiprocessing`: so a Celery worker, whose own processes may have no children of
that kind, can use all cores too, and each process holds nothing but what a check needs.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, BinaryIO, NamedTuple, TypeVar

import msgspec

from shared.datasets.part import Part
from shared.datasets.scan import Job, Scan

RANGE = 16 << 20
AHEAD = 4
ROOT = Path(__file__).parents[2]


class Range(NamedTuple):
    start: int
    end: int


Message = TypeVar("Message")


def ranges(size: int) -> list[Range]:
    """A file in pieces: so large that starting one costs nothing, so small that all processes end at about one time."""
    return [Range(start, min(start + RANGE, size)) for start in range(0, size, RANGE)]


def parts(file: BinaryIO, job: Job, size: int, processes: int) -> Iterator[Part]:
    """The parts of all ranges, in order. With one process they are checked here."""
    if processes <= 1 or not job.path or size <= RANGE:
        scan = Scan(job)
        for start, end in ranges(size):
            yield scan.range(file, start, end)
        return
    with ExitStack() as stack:
        yield from _from_children(stack, job, size, processes)


def _from_children(stack: ExitStack, job: Job, size: int, processes: int) -> Iterator[Part]:
    """A thread per child asks it for one range after the other; few are asked for ahead, to bound the memory."""
    free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    for _ in range(processes):
        free.put(stack.enter_context(_child(job)))
    pool = stack.enter_context(ThreadPoolExecutor(processes))
    waiting: list[Future[Part]] = []
    for range_ in ranges(size):
        waiting.append(pool.submit(_ask, free, range_))
        if len(waiting) >= AHEAD * processes:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


@contextmanager
def _child(job: Job) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared.datasets.processes"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    try:
        _send(child.stdin, job)
        yield child
    finally:
        child.kill()
        child.communicate()


def _ask(free: "SimpleQueue[subprocess.Popen[bytes]]", range_: Range) -> Part:
    child = free.get()
    try:
        _send(child.stdin, range_)
        answer = _receive(child.stdout, Part)
    finally:
        free.put(child)
    if answer is None:
        raise RuntimeError("A process that checked a part of the file ended before it was done")
    return answer


def _send(pipe: IO[bytes] | None, message: Any) -> None:
    assert pipe is not None
    body = msgspec.msgpack.encode(message)
    pipe.write(len(body).to_bytes(4) + body)
    pipe.flush()


def _receive(pipe: IO[bytes] | None, type_: type[Message]) -> Message | None:
    assert pipe is not None
    length = pipe.read(4)
    return msgspec.msgpack.decode(pipe.read(int.from_bytes(length)), type=type_) if length else None


def _serve() -> None:
    """Read a job, then ranges, until the parent closes the pipe."""
    job = _receive(sys.stdin.buffer, Job)
    if job is None:
        return
    scan = Scan(job)
    with Path(job.path).open("rb") as file:
        while (range_ := _receive(sys.stdin.buffer, Range)) is not None:
            _send(sys.stdout.buffer, scan.range(file, *range_))


if __name__ == "__main__":
    _serve()
