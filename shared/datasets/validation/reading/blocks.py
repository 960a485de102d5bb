"""Reads a file in blocks of whole lines, from any byte on, and never more of a line than a limit."""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

SIZE = 1 << 16


class Block(NamedTuple):
    """Whole lines. `cut` is how many bytes of the last one were passed over because it is longer than the limit."""

    offset: int
    data: bytes
    cut: int = 0


def size_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def blocks(file: BinaryIO, start: int, end: int, limit: int, size: int = SIZE) -> Iterator[Block]:
    """All lines that begin at `start` or later and before `end`."""
    position = _first_line(file, start, end)
    while position < end:
        data = file.read(min(size, end - position))
        if not data:
            return
        block = Block(position, data)
        if not data.endswith(b"\n"):
            block = _to_line_end(file, block, end, limit)
        yield block
        position += len(block.data) + block.cut


def _first_line(file: BinaryIO, start: int, end: int) -> int:
    """Where the first line begins that does not begin before `start`."""
    if start == 0:
        file.seek(0)
        return 0
    position = file.seek(start - 1)
    while position < end:
        piece = file.readline(min(SIZE, end - position))
        position += len(piece)
        if piece.endswith(b"\n") or not piece:
            break
    else:
        return end
    return position


def _to_line_end(file: BinaryIO, block: Block, end: int, limit: int) -> Block:
    begun = len(block.data) - block.data.rfind(b"\n") - 1
    rest = file.readline(max(1, limit + 1 - begun))
    data, cut = block.data + rest, 0
    if begun + len(rest) > limit and not rest.endswith(b"\n"):
        while (piece := file.readline(SIZE)) and not piece.endswith(b"\n"):
            cut += len(piece)
        cut += len(piece)
    return Block(block.offset, data, cut)
