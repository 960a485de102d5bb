"""Bounds what is kept of a list: its pages are bounded each, but their items add up."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from typing import Any, TypeVar

from worker.net.call_limits import AnswerTooLarge

Item = TypeVar("Item")
MAX_KEPT_BYTES = 48 << 20  # in memory: about 40,000 events


def bounded(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yield each item. Raises `AnswerTooLarge` when those so far take more memory than a list may."""
    kept = 0
    for item in items:
        kept += _bytes_in_memory(item)
        if kept > MAX_KEPT_BYTES:
            raise AnswerTooLarge(f"the {what} take more than {MAX_KEPT_BYTES} bytes", retryable=False)
        yield item


def _bytes_in_memory(value: Any) -> int:
    inside: Iterable[Any] = ()
    if isinstance(value, dict):
        inside = (each for pair in value.items() for each in pair)
    elif isinstance(value, list | tuple):
        inside = value
    elif is_dataclass(value):
        inside = vars(value).values()
    return sys.getsizeof(value) + sum(map(_bytes_in_memory, inside))
