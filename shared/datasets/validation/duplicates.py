"""Finds examples that occur twice, exactly or except for case, spaces and punctuation.

The scan has kept a 32-bit fingerprint of the end of each line. Only lines whose fingerprint is not unique are read
again and compared as a whole: the search takes four bytes per line, and almost no time where examples differ.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import compress, count
from typing import BinaryIO, NamedTuple

from shared.datasets.validation.findings.problem import problem
from shared.datasets.validation.lines.fingerprints import normalized_line
from shared.datasets.validation.reading.blocks import size_of
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.range_result import RangeResult


class Line(NamedTuple):
    number: int
    offset: int
    content: bytes


def report_duplicates(file: BinaryIO, result: RangeResult) -> None:
    """Add a warning to `result` for each example that equals or nearly equals one before it."""
    near: dict[int, int] = {}  # the number of the first line, by a 64-bit hash of its normalized content
    others: dict[int, int] = {}  # the number of the first line, by a hash of its content, if it is nearly one before it
    hashes = array("q", bytes(2 * len(result.tails)))  # of the content of the lines in `near`, by their number
    for line in _read_lines(file, result, _candidates(result)):
        content = hash(line.content.strip())
        similar = near.setdefault(hash(normalized_line(line.content)), line.number)
        if similar == line.number:
            hashes[similar - 1] = content
            continue
        first = similar if hashes[similar - 1] == content else others.setdefault(content, line.number)
        if first != line.number:
            _warn(result, "duplicate_example", line, f"the example is the same as line {first}")
        else:
            _warn(result, "near_duplicate_example", line, f"the example is nearly the same as line {similar}")


def _warn(result: RangeResult, code: str, line: Line, message: str) -> None:
    if result.remaining(code):
        result.add_problem(problem(code, message, line=line.number, offset=line.offset))
    else:
        result.count(code)


def _candidates(result: RangeResult) -> Iterator[int]:
    """The indexes, from 0, of lines whose fingerprint is not unique; 0 marks a line without a valid example."""
    tails = array("I", bytes(result.tails[: 4 * rules().ours.duplicates_examples]))
    repeated = {tail for tail, times in Counter(filter(None, tails)).items() if times > 1}
    return compress(count(), map(repeated.__contains__, tails))


def _read_lines(file: BinaryIO, result: RangeResult, numbers: Iterator[int]) -> Iterator[Line]:
    """The lines with these indexes, which ascend; each block is read at most once."""
    before = [line for _, line in result.block_starts]
    current, lines, offsets = -1, [b""], [0]
    for number in numbers:
        index = bisect_right(before, number) - 1
        if index != current:
            current, (start, _) = index, result.block_starts[index]
            end = result.block_starts[index + 1][0] if index + 1 < len(result.block_starts) else size_of(file)
            file.seek(start)
            lines = BytesIO(file.read(end - start)).readlines()
            offsets = _offsets(start, lines)
        in_block = number - before[index]
        yield Line(number + 1, offsets[in_block], lines[in_block])


def _offsets(start: int, lines: list[bytes]) -> list[int]:
    offsets = [start]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    return offsets
