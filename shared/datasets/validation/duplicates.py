"""Finds examples that are there twice, exactly or but for case, spaces and punctuation; and what two files share.

A first look compares 32 bits of how each example ends, kept for each line; only lines whose end is not unique are read
again and compared as a whole. So it costs four bytes per line, and next to nothing where examples differ.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from io import BytesIO
from itertools import pairwise
from typing import BinaryIO, NamedTuple

import msgspec

from shared.datasets.validation.blocks import blocks, size_of
from shared.datasets.validation.codes import problem
from shared.datasets.validation.fast import normal
from shared.datasets.validation.part import Part
from shared.datasets.validation.report import MAX_PROBLEMS, Problem
from shared.datasets.validation.rules import rules


class Line(NamedTuple):
    number: int
    offset: int
    content: bytes


def report_duplicates(file: BinaryIO, part: Part) -> None:
    """Add a warning to `part` for each example that is the same as, or close to, one before it."""
    exact: dict[bytes, int] = {}
    near: dict[bytes, int] = {}
    for line in _read_again(file, part, _candidates(part)):
        first = exact.setdefault(_digest(line.content.strip()), line.number)
        alike = near.setdefault(_digest(_normal(line.content)), line.number)
        if first != line.number:
            _warn(part, "duplicate_example", line, f"the same as line {first}")
        elif alike != line.number:
            _warn(part, "near_duplicate_example", line, f"nearly the same as line {alike}")


def _warn(part: Part, code: str, line: Line, message: str) -> None:
    part.add_problem(problem(code, message, line=line.number, offset=line.offset))


def _candidates(part: Part) -> Iterator[int]:
    """The lines, from 0, whose end is not unique."""
    tails = array("I", bytes(part.tails[: 4 * rules().ours.duplicates_examples]))
    repeated = _repeated(tails)
    return (line for line, tail in enumerate(tails) if tail in repeated)


def _repeated(tails: "array[int]") -> set[int]:
    ordered = sorted(tails)
    return {one for one, next_ in pairwise(ordered) if one == next_ and one}


def _read_again(file: BinaryIO, part: Part, numbers: Iterator[int]) -> Iterator[Line]:
    """Some lines of the file, in order; a block that holds some of them is read once."""
    before = [line for _, line in part.starts]
    current, lines, offsets = -1, [b""], [0]
    for number in numbers:
        index = bisect_right(before, number) - 1
        if index != current:
            current, (start, _) = index, part.starts[index]
            end = part.starts[index + 1][0] if index + 1 < len(part.starts) else size_of(file)
            file.seek(start)
            lines = BytesIO(file.read(end - start)).readlines()
            offsets = _offsets(start, lines)
        place = number - before[index]
        yield Line(number + 1, offsets[place], lines[place])


def _offsets(start: int, lines: list[bytes]) -> list[int]:
    offsets = [start]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    return offsets


def _normal(line: bytes) -> bytes:
    for escape in (b"\\n", b"\\t", b"\\r"):
        line = line.replace(escape, b"")
    return normal(line)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=8).digest()


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines of the second file are in the first, the same or nearly, and the first 1,000 of them.

    Only the first two million lines of the first file are looked for.
    """

    exact: int
    near: int
    problems: list[Problem]


def overlap(file_a: BinaryIO, file_b: BinaryIO) -> Overlap:
    """Which examples of `file_b` are in `file_a` too: a validation file should share none with its training file."""
    exact: dict[bytes, int] = {}
    near: dict[bytes, int] = {}
    for line in _lines(file_a):
        if line.number > rules().ours.duplicates_examples:
            break
        exact.setdefault(_digest(line.content), line.number)
        near.setdefault(_digest(_normal(line.content)), line.number)
    return _compare(file_b, exact, near)


def _compare(file: BinaryIO, exact: dict[bytes, int], near: dict[bytes, int]) -> Overlap:
    found: Counter[str] = Counter()
    problems: list[Problem] = []
    for line in _lines(file):
        same, alike = exact.get(_digest(line.content)), near.get(_digest(_normal(line.content)))
        number = same or alike
        if number is None:
            continue
        found["exact" if same else "near"] += 1
        if len(problems) < MAX_PROBLEMS:
            message = f"{'the same' if same else 'nearly the same'} as line {number} of the other file"
            problems.append(problem("in_both_files", message, line=line.number, offset=line.offset))
    return Overlap(exact=found["exact"], near=found["near"], problems=problems)


def _lines(file: BinaryIO) -> Iterator[Line]:
    """The lines that are not blank, each without the spaces around it."""
    number = 0
    for block in blocks(file, 0, size_of(file), rules().ours.line_bytes):
        lines = BytesIO(block.data).readlines()
        for line, offset in zip(lines, _offsets(block.offset, lines), strict=False):
            number += 1
            if content := line.strip():
                yield Line(number, offset, content)
