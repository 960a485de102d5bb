"""Checks the ranges of a large file in processes of their own; this module, run as a command, is one of them.

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
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, TypeVar

import msgspec

from shared.datasets.validation.part import Part
from shared.datasets.validation.scan import Job, Scan

RANGE = 4 << 20
SMALL = 16 << 20
ROOT = Path(__file__).parents[3]
Message = TypeVar("Message")


class Range(NamedTuple):
    start: int
    end: int


def ranges(size: int) -> list[Range]:
    """A file in pieces: so large that starting one costs nothing, so small that all processes end at about one time."""
    return [Range(start, min(start + RANGE, size)) for start in range(0, size, RANGE)]


def parts(file: BinaryIO, job: Job, size: int, processes: int) -> Iterator[Part]:
    """The parts of all ranges, in order. This process is one of those that check; a small file needs no others."""
    scan, todo, done, wanted = Scan(job), enumerate(ranges(size)), dict[int, Part](), 0
    with ExitStack() as stack:
        helpers = _start(stack, job, todo, done, processes - 1 if job.path and size > SMALL else 0)
        stack.callback(lambda: deque(todo, maxlen=0))  # whoever stops halfway leaves nothing to do for the others
        for number, range_ in todo:
            done[number] = scan.range(file, *range_)
            while wanted in done:
                yield done.pop(wanted)
                wanted += 1
        for helper in helpers:
            helper.result()
    yield from (done[number] for number in sorted(done))


def _start(
    stack: ExitStack, job: Job, todo: Iterator[tuple[int, Range]], done: dict[int, Part], count: int
) -> list[Future[None]]:
    """Children, and a thread for each that gives it one range after the other as long as there are any."""
    children = [stack.enter_context(_child(job)) for _ in range(count)]
    pool = stack.enter_context(ThreadPoolExecutor(count)) if children else None
    return [pool.submit(_help, child, todo, done) for child in children] if pool else []


def _help(child: "subprocess.Popen[bytes]", todo: Iterator[tuple[int, Range]], done: dict[int, Part]) -> None:
    for number, range_ in todo:
        done[number] = _ask(child, range_)


@contextmanager
def _child(job: Job) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "shared.datasets.validation.processes"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    try:
        _send(child.stdin, job)
        yield child
    finally:
        child.kill()
        child.communicate()


def _ask(child: "subprocess.Popen[bytes]", range_: Range) -> Part:
    _send(child.stdin, range_)
    answer = _receive(child.stdout, Part)
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
