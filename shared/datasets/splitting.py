"""Part a dataset into training and validation: by chance that a seed decides, with repetitions kept on one side."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

from shared.datasets.validation.fast import normal


def validation_lines(count: int, seed: int, lines: Iterable[bytes]) -> Callable[[bytes], bool]:
    """Which lines are for validation: at least `count`, with all that differ only in case, spaces or punctuation.

    8 bytes are kept for each line, so the file may be large.
    """
    numbers = array("Q", (_number(line, seed) for line in lines if line.strip()))
    last = sorted(numbers)[min(count, len(numbers)) - 1]
    return lambda line: _number(line, seed) <= last


def _number(line: bytes, seed: int) -> int:
    """The same for lines that repeat one another, and by chance for all others."""
    digest = blake2b(normal(line), digest_size=8, key=seed.to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")


def lines_of(part: str, lines: Iterable[bytes], is_validation: Callable[[bytes], bool]) -> Iterator[bytes]:
    """The lines of one part, `training` or `validation`, in their order, each with an end."""
    for line in lines:
        if line.strip() and is_validation(line) == (part == "validation"):
            yield line if line.endswith(b"\n") else line + b"\n"
