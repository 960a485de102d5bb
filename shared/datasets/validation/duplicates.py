"""Finds examples that occur twice, exactly or except for case, spaces and punctuation.

The scan has kept a 32-bit fingerprint of the end of each line. Only lines whose fingerprint is not unique are read
again and compared as a whole: the search takes four bytes per line, and almost no time where examples differ.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import compress, count, islice
from typing import BinaryIO, NamedTuple

from shared.datasets.validation.findings.problem import problem
from shared.datasets.validation.lines.fingerprints import normalized_lines
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.scanning.range_result import RangeResult

SAME, NEARLY_SAME = "duplicate_example", "near_duplicate_example"


class Block(NamedTuple):
    """The first `lines` of a block at `start`, which has so many `before` it, and the `indexes` of those to compare."""

    start: int
    lines: list[bytes]
    before: int
    indexes: list[int]

    def offset(self, index: int) -> int:
        return self.start + sum(map(len, self.lines[:index]))


def report_duplicates(file: BinaryIO, result: RangeResult) -> None:
    """Add a warning to `result` for each example that equals or nearly equals one before it."""
    near: dict[int, int] = {}  # the number of the first line, by a 64-bit hash of its normalized content
    others: dict[int, int] = {}  # the number of the first line, by a hash of its content, if it is nearly one before it
    hashes = array("q", bytes(2 * len(result.tails)))  # of the content of the lines in `near`, by their number
    kept = {code: result.remaining(code) for code in (SAME, NEARLY_SAME)}
    times = dict.fromkeys(kept, 0)
    for block in _read_blocks(file, result):
        lines = [block.lines[index] for index in block.indexes]
        contents, normals = map(hash, map(bytes.strip, lines)), map(hash, normalized_lines(lines))
        for index, content, normal in zip(block.indexes, contents, normals, strict=True):
            number = block.before + index + 1
            similar = near.setdefault(normal, number)
            if similar == number:
                hashes[number - 1] = content
                continue
            first = similar if hashes[similar - 1] == content else others.setdefault(content, number)
            code = SAME if first != number else NEARLY_SAME
            times[code] += 1
            if times[code] <= kept[code]:
                same = f"the same as line {first}" if first != number else f"nearly the same as line {similar}"
                found = problem(code, f"the example is {same}", line=number, offset=block.offset(index))
                result.warnings.append(found)
    for code, n in times.items():
        result.count(code, n)


def _read_blocks(file: BinaryIO, result: RangeResult) -> Iterator[Block]:
    """The blocks that have lines whose fingerprint is not unique; 0 marks a line without a valid example."""
    tails = array("I", bytes(result.tails[: 4 * rules().ours.duplicates_examples]))
    repeated = {tail for tail, times in Counter(filter(None, tails)).items() if times > 1}
    ends = [before for _, before in result.block_starts[1:]] + [len(tails)]
    for (start, before), end in zip(result.block_starts, ends, strict=True):
        indexes = list(compress(count(), map(repeated.__contains__, tails[before:end])))
        if indexes:
            file.seek(start)
            yield Block(start, list(islice(file, indexes[-1] + 1)), before, indexes)
