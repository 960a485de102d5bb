"""Reads lines of a stored file: what stands around a problem, and all lines but some."""

from collections.abc import Collection, Iterator
from typing import BinaryIO, NamedTuple

BYTES_BEFORE, BYTES_AFTER = 160, 400
_READ_BYTES = 1 << 20  # of a line, at a time


class Excerpt(NamedTuple):
    """A part of one line: what stands `before` a place in it, and `after`. `is_cut`: the line goes on."""

    before: str
    after: str
    is_cut: bool


def excerpt(file: BinaryIO, offset: int) -> Excerpt:
    """Return what stands around this offset, in bytes, within its line."""
    start = max(0, offset - BYTES_BEFORE)
    file.seek(start)
    found = file.read(offset - start + BYTES_AFTER)
    before = found[: offset - start].rpartition(b"\n")[2]
    after, newline, _ = found[offset - start :].partition(b"\n")
    is_cut = not newline and len(found) == offset - start + BYTES_AFTER
    return Excerpt(before.decode(errors="replace"), after.decode(errors="replace").rstrip("\r"), is_cut)


def without(file: BinaryIO, numbers: Collection[int]) -> Iterator[bytes]:
    """Yield the file without the lines of these numbers, which count from 1, and close it."""
    number = 1
    with file:
        while piece := file.readline(_READ_BYTES):
            if number not in numbers:
                yield piece
            number += piece.endswith(b"\n")
