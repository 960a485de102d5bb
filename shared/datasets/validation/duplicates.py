"""Finds examples that are there twice, exactly or but for case, spaces and punctuation.

A first look compares 32 bits of how each example ends, kept for each line; only lines whose end is not unique are read
again and compared as a whole. So it costs four bytes per line, and next to nothing where examples differ.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple

from shared.datasets.validation.findings.codes import problem
from shared.datasets.validation.lines.fast import normal_line
from shared.datasets.validation.reading.blocks import size_of
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.part import Part


class Line(NamedTuple):
    number: int
    offset: int
    content: bytes


def report_duplicates(file: BinaryIO, part: Part) -> None:
    """Add a warning to `part` for each example that is the same as, or close to, one before it."""
    exact: dict[int, int] = {}  # the first line by 64 bits of what it says
    near: dict[int, int] = {}
    for line in _read_again(file, part, _candidates(part)):
        first = exact.setdefault(hash(line.content.strip()), line.number)
        alike = near.setdefault(hash(normal_line(line.content)), line.number)
        if first != line.number:
            _warn(part, "duplicate_example", line, f"the same as line {first}")
        elif alike != line.number:
            _warn(part, "near_duplicate_example", line, f"nearly the same as line {alike}")


def _warn(part: Part, code: str, line: Line, message: str) -> None:
    part.add_problem(problem(code, message, line=line.number, offset=line.offset))


def _candidates(part: Part) -> Iterator[int]:
    """The lines, from 0, whose end is not unique."""
    tails = array("I", bytes(part.tails[: 4 * rules().ours.duplicates_examples]))
    repeated = {tail for tail, times in Counter(tails).items() if times > 1 and tail}
    return (line for line, tail in enumerate(tails) if tail in repeated)


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
