"""Reads the pages of a list one after the other, to an end whatever the provider says."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from worker.net.call_limits import AnswerTooLarge
from worker.runtime import heartbeat

# Of one list: a server that always has one more page must not hold a step for ever.
MAX_PAGES = 2000
MAX_LIST_SECONDS = 600.0
MAX_LIST_BYTES = 256 << 20


class ListTooSlow(Exception):
    """The pages of a list came in time each, and the list did not."""


class Page(NamedTuple):
    """`size`: of the answer, in bytes. `cursor`: what the next page is asked for by; None where there is none."""

    items: list[dict[str, Any]]
    size: int
    cursor: str | None
    is_last: bool = False


def pages(path: str, read: Callable[[str | None], Page]) -> Iterator[list[dict[str, Any]]]:
    """What `read` gives for each cursor, first for None. Ends at a cursor that has come before: it is ignored there.

    Raises `AnswerTooLarge` and `ListTooSlow` beyond a bound.
    """
    cursors: set[str | None] = set()
    deadline, bytes_read, cursor = time.monotonic() + MAX_LIST_SECONDS, 0, None
    for _ in range(MAX_PAGES):
        page = _read(path, read, cursor)
        heartbeat.beat()
        if page.cursor in cursors:
            return
        yield page.items
        if page.is_last or page.cursor is None:
            return
        cursor = page.cursor
        cursors.add(cursor)
        bytes_read += page.size
        if bytes_read > MAX_LIST_BYTES:
            raise AnswerTooLarge(f"the list {path} has more than {MAX_LIST_BYTES} bytes", retryable=False)
        _check_time(path, deadline)
    raise AnswerTooLarge(f"the list {path} has more than {MAX_PAGES} pages", retryable=False)


def _read(path: str, read: Callable[[str | None], Page], cursor: str | None) -> Page:
    try:
        return read(cursor)
    except AnswerTooLarge as error:
        raise AnswerTooLarge(f"a page of the list {path}: {error}", retryable=False) from None


def in_time(path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of a list without pages. Raises `ListTooSlow`."""
    deadline = time.monotonic() + MAX_LIST_SECONDS
    for chunk in chunks:
        heartbeat.beat()
        yield chunk
        _check_time(path, deadline)


def _check_time(path: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ListTooSlow(f"the list {path} was not read within {MAX_LIST_SECONDS:g} s")
