"""Polls the database once for all open streams of this process, and hands each stream what it follows from a buffer.

A thread and queries for each stream would be too much: one process may have a thousand of them open.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Generic, TypeVar

import anyio

from api.stopping import stopping
from api.streams.wire import POLL_INTERVAL_SECONDS
from shared.projects.callers import Presented

WOKEN_AT_ONCE = 8  # streams
PAUSE_SECONDS = 0.005  # between them
MAX_PAUSES = 50
Entry = TypeVar("Entry")


class Buffer(Generic[Entry]):
    """The entries that some stream has not taken yet; the first has the number `first`.

    `max_entries`: a stream that is further behind reads the database again.
    """

    def __init__(self, max_entries: int) -> None:
        self.cursors: set[Cursor[Entry]] = set()
        self.entries: deque[Entry] = deque()
        self.first = 0
        self._max_entries = max_entries

    @property
    def end(self) -> int:
        return self.first + len(self.entries)

    def put(self, new: Sequence[Entry]) -> None:
        taken = min((cursor.position for cursor in self.cursors), default=self.end)
        self.entries.extend(new)
        for _ in range(max(taken - self.first, len(self.entries) - self._max_entries)):
            self.entries.popleft()
            self.first += 1


class Cursor(Generic[Entry]):
    """How far one stream, opened with the API key `key`, has read its buffer.

    Once `is_over`, it must send nothing more.
    """

    def __init__(self, buffer: Buffer[Entry], key: Presented) -> None:
        self.buffer = buffer
        self.key = key
        self.position = buffer.end
        self.has_news = asyncio.Event()
        self.is_over = False

    def take(self) -> list[Entry] | None:
        """Return the new entries; None if the stream was so slow that some are no longer buffered."""
        start, self.position = self.position - self.buffer.first, self.buffer.end
        return list(islice(self.buffer.entries, start, None)) if start >= 0 else None

    async def wait(self, seconds: float) -> bool:
        """Wait for new entries or for the end; False if neither came in time."""
        with anyio.move_on_after(seconds):
            await self.has_news.wait()
        has_news = self.has_news.is_set()
        self.has_news.clear()
        return has_news

    def end(self) -> None:
        self.is_over = True
        self.has_news.set()


Followed = TypeVar("Followed", bound=Buffer)  # type: ignore[type-arg]  # mypy has no higher-kinded types


class Polling(ABC, Generic[Followed, Entry]):
    """Polls while any stream is open. `buffers`: by the id of what the streams follow, a job or a project."""

    def __init__(self) -> None:
        self.buffers: dict[str, Followed] = {}
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    def begin(self) -> None:
        """Called before the first poll after a time without streams."""

    @abstractmethod
    async def poll(self) -> bool:
        """Put what is new into the buffers; False if there is more, so that the next poll must follow at once."""

    @contextmanager
    def opened(self, id: str, buffer: Followed, key: Presented) -> Iterator[Cursor[Entry]]:
        """Open a cursor at the end of the buffer of this id; `buffer` becomes that of the id if it has none yet."""
        if self._task is None:
            self.begin()
            self._task = asyncio.create_task(self._run())
        found = self.buffers.setdefault(id, buffer)
        cursor: Cursor[Entry] = Cursor(found, key)
        found.cursors.add(cursor)
        try:
            yield cursor
        finally:
            found.cursors.remove(cursor)
            if not found.cursors:
                del self.buffers[id]

    async def _run(self) -> None:
        try:
            while self.buffers and not stopping.is_ending:
                is_all = await self.poll()
                await self.wake()
                await anyio.sleep(POLL_INTERVAL_SECONDS if is_all else 0)
        finally:
            self._task = None
            self.end(self.keys())

    async def wake(self) -> None:
        """Wake the streams with new entries, a few at a time: to send to hundreds at once would hold up the requests
        of others."""
        behind = [cursor for cursor in self._cursors() if cursor.position < cursor.buffer.end]
        size = max(WOKEN_AT_ONCE, len(behind) // MAX_PAUSES)
        for start in range(0, len(behind), size):
            for cursor in behind[start : start + size]:
                cursor.has_news.set()
            await anyio.sleep(PAUSE_SECONDS)

    def _cursors(self) -> Iterator[Cursor[Entry]]:
        return (cursor for buffer in self.buffers.values() for cursor in buffer.cursors)

    def keys(self) -> set[Presented]:
        return {cursor.key for cursor in self._cursors()}

    def end(self, keys: Collection[Presented]) -> None:
        """End the streams that were opened with these keys from these addresses."""
        for cursor in self._cursors():
            if cursor.key in keys:
                cursor.end()
