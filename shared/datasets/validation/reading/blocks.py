"""Reads a file in blocks of whole lines, starting at any byte, with a limit on how much of a line is kept."""

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

BLOCK_BYTES = 1 << 16


class Block(NamedTuple):
    """Whole lines of a file. `skipped` counts the bytes of the last line beyond the limit; they are not in `data`."""

    offset: int
    data: bytes
    skipped: int = 0


def size_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def blocks(file: BinaryIO, start: int, end: int, limit: int, size: int = BLOCK_BYTES) -> Iterator[Block]:
    """The lines that begin at or after the byte `start` and before `end`, in blocks of about `size` bytes.

    Of a line longer than `limit` bytes only the first `limit + 1` are read into memory. The last line may end after
    `end`, so that ranges that adjoin each other share no line and lose none.
    """
    position = _first_line(file, start, end)
    while position < end:
        data = file.read(min(size, end - position))
        if not data:
            return
        block = Block(position, data)
        if not data.endswith(b"\n"):
            block = _to_line_end(file, block, end, limit)
        yield block
        position += len(block.data) + block.skipped


def _first_line(file: BinaryIO, start: int, end: int) -> int:
    """The offset of the first line that begins at or after `start`; `end` if there is none before it."""
    if start == 0:
        file.seek(0)
        return 0
    position = file.seek(start - 1)
    while position < end:
        piece = file.readline(min(BLOCK_BYTES, end - position))
        position += len(piece)
        if piece.endswith(b"\n") or not piece:
            break
    else:
        return end
    return position


def _to_line_end(file: BinaryIO, block: Block, end: int, limit: int) -> Block:
    begun = len(block.data) - block.data.rfind(b"\n") - 1
    rest = file.readline(max(1, limit + 1 - begun))
    data, skipped = block.data + rest, 0
    if begun + len(rest) > limit and not rest.endswith(b"\n"):
        while (piece := file.readline(BLOCK_BYTES)) and not piece.endswith(b"\n"):
            skipped += len(piece)
        skipped += len(piece)
    return Block(block.offset, data, skipped)
