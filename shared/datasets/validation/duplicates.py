"""Finds examples that occur twice, exactly or except for case, spaces and punctuation.

The scan has kept a 32-bit fingerprint of the end of each line. Only lines whose fingerprint is not unique are read
again and compared as a whole: the search takes four bytes per line, and almost no time where examples differ.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import compress, count, groupby
from typing import BinaryIO, NamedTuple

from shared.datasets.validation.findings.problem import problem
from shared.datasets.validation.lines.fingerprints import normalized_lines
from shared.datasets.validation.reading.blocks import size_of
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.range_result import RangeResult


class Block(NamedTuple):
    """All `lines` of a block, which begins at `start`, and the `numbers` and `indexes` there of those to compare."""

    start: int
    lines: list[bytes]
    numbers: list[int]
    indexes: list[int]

    def offset(self, index: int) -> int:
        return self.start + sum(map(len, self.lines[:index]))


def report_duplicates(file: BinaryIO, result: RangeResult) -> None:
    """Add a warning to `result` for each example that equals or nearly equals one before it."""
    near: dict[int, int] = {}  # the number of the first line, by a 64-bit hash of its normalized content
    others: dict[int, int] = {}  # the number of the first line, by a hash of its content, if it is nearly one before it
    hashes = array("q", bytes(2 * len(result.tails)))  # of the content of the lines in `near`, by their number
    full: set[str] = set()  # codes of which no more are kept
    for block in _read_blocks(file, result, _candidates(result)):
        lines = [block.lines[index] for index in block.indexes]
        contents, normals = map(hash, map(bytes.strip, lines)), map(hash, normalized_lines(lines))
        for number, index, content, normal in zip(block.numbers, block.indexes, contents, normals, strict=True):
            similar = near.setdefault(normal, number)
            if similar == number:
                hashes[similar - 1] = content
                continue
            first = similar if hashes[similar - 1] == content else others.setdefault(content, number)
            code = "duplicate_example" if first != number else "near_duplicate_example"
            if code in full or not result.remaining(code):
                full.add(code)
                result.count(code)
                continue
            same = f"the same as line {first}" if first != number else f"nearly the same as line {similar}"
            found = problem(code, f"the example is {same}", line=number, offset=block.offset(index))
            result.add_problem(found)


def _candidates(result: RangeResult) -> Iterator[int]:
    """The indexes, from 0, of lines whose fingerprint is not unique; 0 marks a line without a valid example."""
    tails = array("I", bytes(result.tails[: 4 * rules().ours.duplicates_examples]))
    repeated = {tail for tail, times in Counter(filter(None, tails)).items() if times > 1}
    return compress(count(), map(repeated.__contains__, tails))


def _read_blocks(file: BinaryIO, result: RangeResult, indexes: Iterator[int]) -> Iterator[Block]:
    """The blocks that have lines with these indexes in the file, which ascend."""
    before = [line for _, line in result.block_starts]
    for number, group in groupby(indexes, key=lambda index: bisect_right(before, index) - 1):
        start = result.block_starts[number][0]
        end = result.block_starts[number + 1][0] if number + 1 < len(result.block_starts) else size_of(file)
        file.seek(start)
        lines, in_file = BytesIO(file.read(end - start)).readlines(), list(group)
        yield Block(start, lines, [each + 1 for each in in_file], [each - before[number] for each in in_file])
