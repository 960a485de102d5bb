"""The lines of a block: where each begins, and which of them are blank."""

import string
from functools import cached_property
from io import BytesIO
from itertools import accumulate, compress
from operator import not_

from shared.datasets.validation.reading.blocks import Block

_SPACES = string.whitespace.replace("\n", "").encode()
_MARKED = bytes(ord("\n") if each == ord("\n") else ord("x") for each in range(256))


class Lines:
    """The lines of a block, with their position in the range and in the file."""

    def __init__(self, block: Block, before: int) -> None:
        self.block, self.before = block, before
        self.lines = BytesIO(block.data).readlines()  # twice as fast as `split`

    @cached_property
    def _offsets(self) -> list[int]:
        return list(accumulate(map(len, self.lines), initial=self.block.offset))

    def position(self, index: int) -> tuple[int, int]:
        """The number of the line in the range, from 1, and its offset in the file."""
        return self.before + index + 1, self._offsets[index]

    def length(self, index: int) -> int:
        return len(self.lines[index]) + (self.block.skipped if index == len(self.lines) - 1 else 0)

    def indexes(self, *, blank: bool) -> list[int]:
        """The indexes of the blank lines, or of all others."""
        is_blank = map(bytes.isspace, self.lines)
        return list(compress(range(len(self.lines)), is_blank if blank else map(not_, is_blank)))


def count_lines(block: Block) -> tuple[int, int]:
    """How many lines a block has, and how many of them are blank; far quicker than a look at each."""
    lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
    marked = block.data.translate(_MARKED, _SPACES)
    return lines, lines - marked.count(b"\nx") - marked.startswith(b"x")
