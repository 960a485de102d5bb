"""What two files share, so that a validation file shows what a model has learned and not what it has read."""

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

import msgspec

from shared.datasets.validation.findings.codes import Problem, problem
from shared.datasets.validation.findings.report import MAX_PROBLEMS
from shared.datasets.validation.lines.fast import normal_line
from shared.datasets.validation.reading.blocks import blocks, size_of
from shared.datasets.validation.rules.limits import rules

MAX_REMEMBERED = 200_000


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a file's `examples` are in the other file too, the same or nearly, and the first 1,000 of them.

    `complete` is false if a file has more than the bytes that were asked for, or the smaller one over 200,000 lines.
    """

    examples: int
    exact: int
    near: int
    complete: bool
    problems: list[Problem]


class Line(NamedTuple):
    """`exact` and `near` are 64 bits of what it says, and of that without case, spaces and punctuation."""

    number: int
    offset: int
    exact: int
    near: int


class Marks(NamedTuple):
    """The number of the line in the other file that first said this, exactly or nearly."""

    exact: dict[int, int]
    near: dict[int, int]


def overlap(file: BinaryIO, other: BinaryIO, *, most_bytes: int | None = None) -> Overlap:
    """Which examples of `file` are in `other` too, in memory that depends on the smaller of the two, and that bounded.

    `most_bytes` are read of each, all without it.
    """
    ours, theirs = _Reading(file, most_bytes), _Reading(other, most_bytes)
    is_small = ours.size <= theirs.size
    (ours if is_small else theirs).most_lines = MAX_REMEMBERED
    wanted = {digest for line in ours.lines() for digest in line[2:]} if is_small else None
    return _compare(ours, theirs, _marks(theirs, wanted))


def _marks(theirs: "_Reading", wanted: set[int] | None) -> Marks:
    """Of all lines, or of those alone that somebody will ask for."""
    marks = Marks({}, {})
    for line in theirs.lines():
        if wanted is None or line.near in wanted:
            marks.near.setdefault(line.near, line.number)
            if wanted is None or line.exact in wanted:
                marks.exact.setdefault(line.exact, line.number)
    return marks


def _compare(ours: "_Reading", theirs: "_Reading", marks: Marks) -> Overlap:
    found: Counter[str] = Counter()
    problems: list[Problem] = []
    for line in ours.lines():
        found["examples"] += 1
        same = marks.exact.get(line.exact)
        number = same or marks.near.get(line.near)
        if number is None:
            continue
        found["exact" if same else "near"] += 1
        if len(problems) < MAX_PROBLEMS:
            message = f"{'the same' if same else 'nearly the same'} as line {number} of the other file"
            problems.append(problem("in_both_files", message, line=line.number, offset=line.offset))
    return Overlap(
        examples=found["examples"],
        exact=found["exact"],
        near=found["near"],
        complete=not (ours.is_cut or theirs.is_cut),
        problems=problems,
    )


class _Reading:
    """A file's lines that are not blank, as often as they are wanted, up to a bound."""

    def __init__(self, file: BinaryIO, most_bytes: int | None) -> None:
        self.size = size_of(file)
        self.most_lines: int | None = None
        self.is_cut = most_bytes is not None and self.size > most_bytes
        self._file = file
        self._end = min(self.size, most_bytes or self.size)

    def lines(self) -> Iterator[Line]:
        number = 0
        for block in blocks(self._file, 0, self._end, rules().ours.line_bytes):
            offset = block.offset
            for line in BytesIO(block.data).readlines():
                if number == self.most_lines:
                    self.is_cut = True
                    return
                number += 1
                if content := line.strip():
                    yield Line(number, offset, hash(content), hash(normal_line(content)))
                offset += len(line)
