"""Finds examples that two files share: a validation file with training examples does not show what a model learned."""

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

import msgspec

from shared.datasets.validation.findings.problem import Problem, problem
from shared.datasets.validation.findings.report import MAX_PROBLEMS
from shared.datasets.validation.lines.fingerprints import normalized_line
from shared.datasets.validation.reading.blocks import blocks, size_of
from shared.datasets.validation.rules.limits import rules

MAX_COMPARED_LINES = 200_000  # of the smaller file; two hashes of each are kept in memory


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a file's `examples` are in the other file too, exactly or nearly. `problems` has the first 1,000.

    `complete` is False if a file has more bytes than were compared, or the smaller one more than 200,000 lines.
    """

    examples: int
    exact: int
    near: int
    complete: bool
    problems: list[Problem]


class Line(NamedTuple):
    """`exact` and `near` are 64-bit hashes of its content, and of that without case, spaces and punctuation."""

    number: int
    offset: int
    exact: int
    near: int


class FirstLines(NamedTuple):
    """The number of the first line in the other file with this content, exactly or nearly, by its hash."""

    exact: dict[int, int]
    near: dict[int, int]


def overlap(file: BinaryIO, other: BinaryIO, *, max_bytes: int | None = None) -> Overlap:
    """Which examples of `file` are in `other` too.

    Memory grows with the smaller of the two files, up to 200,000 lines. Of each file at most `max_bytes` are read, if
    given.
    """
    ours, theirs = _LineReader(file, max_bytes), _LineReader(other, max_bytes)
    is_small = ours.size <= theirs.size
    (ours if is_small else theirs).max_lines = MAX_COMPARED_LINES
    wanted = {digest for line in ours.lines() for digest in line[2:]} if is_small else None
    return _compare(ours, theirs, _first_lines(theirs, wanted))


def _first_lines(theirs: "_LineReader", wanted: set[int] | None) -> FirstLines:
    """The first lines of all contents, or of those alone whose hash is `wanted`."""
    first_lines = FirstLines({}, {})
    for line in theirs.lines():
        if wanted is None or line.near in wanted:
            first_lines.near.setdefault(line.near, line.number)
            if wanted is None or line.exact in wanted:
                first_lines.exact.setdefault(line.exact, line.number)
    return first_lines


def _compare(ours: "_LineReader", theirs: "_LineReader", first_lines: FirstLines) -> Overlap:
    found: Counter[str] = Counter()
    problems: list[Problem] = []
    for line in ours.lines():
        found["examples"] += 1
        same = first_lines.exact.get(line.exact)
        number = same or first_lines.near.get(line.near)
        if number is None:
            continue
        found["exact" if same else "near"] += 1
        if len(problems) < MAX_PROBLEMS:
            message = f"the example is {'' if same else 'nearly '}the same as line {number} of the other file"
            problems.append(problem("in_both_files", message, line=line.number, offset=line.offset))
    return Overlap(
        examples=found["examples"],
        exact=found["exact"],
        near=found["near"],
        complete=not (ours.is_cut or theirs.is_cut),
        problems=problems,
    )


class _LineReader:
    """Reads the lines of a file that are not blank, from the start at each call, up to `max_bytes` and `max_lines`."""

    def __init__(self, file: BinaryIO, max_bytes: int | None) -> None:
        self.size = size_of(file)
        self.max_lines: int | None = None
        self.is_cut = max_bytes is not None and self.size > max_bytes
        self._file = file
        self._end = min(self.size, max_bytes or self.size)

    def lines(self) -> Iterator[Line]:
        number = 0
        for block in blocks(self._file, 0, self._end, rules().ours.line_bytes):
            offset = block.offset
            for line in BytesIO(block.data).readlines():
                if number == self.max_lines:
                    self.is_cut = True
                    return
                number += 1
                if content := line.strip():
                    yield Line(number, offset, hash(content), hash(normalized_line(content)))
                offset += len(line)
