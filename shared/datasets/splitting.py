"""Splits a dataset into training and validation at random by a seed; duplicates stay in the same part."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

from shared.datasets.validation.lines.fingerprints import normalized


def validation_lines(count: int, seed: int, lines: Iterable[bytes]) -> Callable[[bytes], bool] | None:
    """A function that says whether a line is for validation; None if all lines are the same.

    About `count` lines are: those that differ only in case, spaces or punctuation stay together, and neither part is
    empty. Each line takes 8 bytes of memory.
    """
    numbers = sorted(array("Q", (_number(line, seed) for line in lines if line.strip())))
    last = _last_of(numbers, count)
    return None if last is None else lambda line: _number(line, seed) <= last


def _last_of(numbers: list[int], count: int) -> int | None:
    """The highest number for validation. Equal numbers at the limit all go to the part that leaves `count` nearest."""
    at = numbers[min(count, len(numbers)) - 1]
    below, upto = bisect_left(numbers, at), bisect_right(numbers, at)
    if upto < len(numbers) and (below == 0 or upto - count <= count - below):
        return at
    return numbers[below - 1] if below else None


def _number(line: bytes, seed: int) -> int:
    """64 pseudo-random bits that depend on the seed and on the normalized line, so duplicates get the same."""
    digest = blake2b(normalized(line), digest_size=8, key=seed.to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")


def lines_of(part: str, lines: Iterable[bytes], is_validation: Callable[[bytes], bool]) -> Iterator[bytes]:
    """The lines of one part, `training` or `validation`, in the order of the file, each with a line end."""
    for line in lines:
        if line.strip() and is_validation(line) == (part == "validation"):
            yield line if line.endswith(b"\n") else line + b"\n"
