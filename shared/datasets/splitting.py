"""Part a dataset into training and validation: by chance that a seed decides, with repetitions kept on one side."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

from shared.datasets.validation.lines.fast import normal


def validation_lines(count: int, seed: int, lines: Iterable[bytes]) -> Callable[[bytes], bool] | None:
    """Which lines are for validation: `count` of them, or some more or fewer where lines repeat one another.

    Those that differ only in case, spaces or punctuation stay together, and neither side is left empty: None if all
    lines are the same. 8 bytes are kept for each line, so the file may be large.
    """
    numbers = sorted(array("Q", (_number(line, seed) for line in lines if line.strip())))
    last = _last_of(numbers, count)
    return None if last is None else lambda line: _number(line, seed) <= last


def _last_of(numbers: list[int], count: int) -> int | None:
    """The last number for validation: those that are the same as the one where the line falls go to the nearer side."""
    at = numbers[min(count, len(numbers)) - 1]
    below, upto = bisect_left(numbers, at), bisect_right(numbers, at)
    if upto < len(numbers) and (below == 0 or upto - count <= count - below):
        return at
    return numbers[below - 1] if below else None


def _number(line: bytes, seed: int) -> int:
    """The same for lines that repeat one another, and by chance for all others."""
    digest = blake2b(normal(line), digest_size=8, key=seed.to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")


def lines_of(part: str, lines: Iterable[bytes], is_validation: Callable[[bytes], bool]) -> Iterator[bytes]:
    """The lines of one part, `training` or `validation`, in their order, each with an end."""
    for line in lines:
        if line.strip() and is_validation(line) == (part == "validation"):
            yield line if line.endswith(b"\n") else line + b"\n"
