"""Reads lists page by page, to an end whatever the provider says."""

import heapq
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from worker.net.call_limits import AnswerTooLarge
from worker.providers import sanitize
from worker.providers.fireworks import names
from worker.providers.openai.calls import ListTooSlow
from worker.providers.openai.parsing import json_object
from worker.providers.rest.calls import RestCalls, decoded
from worker.runtime import heartbeat

MAX_PAGES = 2000
MAX_LIST_SECONDS = 600.0
MAX_LIST_BYTES = 256 << 20
PAGE_SIZE = 200  # the most that the wire gives
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def items(calls: RestCalls, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
    """The items of all pages. Ends at a page whose token has come before.

    Raises `ValueError` for an answer that is no list, `AnswerTooLarge` and `ListTooSlow` beyond a bound.
    """
    tokens: set[str] = set()
    deadline, bytes_read, token = time.monotonic() + MAX_LIST_SECONDS, 0, None
    for _ in range(MAX_PAGES):
        page, size, token = _page(calls, path, key, {**query, "pageSize": PAGE_SIZE, "pageToken": token})
        heartbeat.beat()
        if token in tokens:
            return
        yield from page
        if token is None:
            return
        tokens.add(token)
        bytes_read += size
        if bytes_read > MAX_LIST_BYTES:
            raise AnswerTooLarge(f"the list {path} has more than {MAX_LIST_BYTES} bytes", retryable=False)
        if time.monotonic() > deadline:
            raise ListTooSlow(f"the list {path} was not read within {MAX_LIST_SECONDS:g} s")
    raise AnswerTooLarge(f"the list {path} has more than {MAX_PAGES} pages", retryable=False)


def _page(calls: RestCalls, path: str, key: str, query: dict[str, Any]) -> tuple[list[dict[str, Any]], int, str | None]:
    """A page, its size, and the token of the next one, if there is one."""
    try:
        response = calls.send("GET", path, params={name: value for name, value in query.items() if value is not None})
    except AnswerTooLarge as error:
        raise AnswerTooLarge(f"a page of the list {path}: {error}", retryable=False) from None
    answer = json_object(decoded(response))
    found = answer.get(key)
    if found is None and "nextPageToken" in answer and "totalSize" in answer:
        found = []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError("it is no list of objects")
    return found, len(response.content), sanitize.some_text(answer.get("nextPageToken"))


def newest_jobs(calls: RestCalls) -> Iterator[tuple[str, dict[str, Any]]]:
    """Jobs of each kind, with their kind, newest first."""
    lists = [_of_kind(calls, kind) for kind in names.JOB_KINDS]
    return heapq.merge(*lists, key=_made_at, reverse=True)


def _of_kind(calls: RestCalls, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((kind, raw) for raw in items(calls, f"/{kind}", kind, orderBy="createTime desc"))


def _made_at(found: tuple[str, dict[str, Any]]) -> datetime:
    return sanitize.moment(found[1].get("createTime")) or _LONG_AGO


def in_pages(jobs: Iterator[Any], size: int = 100) -> Iterator[list[Any]]:
    while page := list(islice(jobs, size)):
        yield page
