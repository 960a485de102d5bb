"""Streams a project's webhook events as server-sent events, for clients that cannot receive webhooks, such as a laptop.

An event's id is made before its transaction commits, so a later event may become visible first. The poller therefore
reads the last seconds again, and a client that reconnects may receive an event twice.
"""

import time
from collections.abc import AsyncIterator
from datetime import datetime

import anyio
import anyio.to_thread
from sqlmodel import select
from starlette.requests import Request

from api.streams.event_feed import EventEntry, ProjectFeed, entry_of, poller, window_start
from api.streams.polling import Cursor
from api.streams.wire import KEEP_ALIVE, KEEP_ALIVE_SECONDS, EventStream, presented_by
from shared.database import transaction
from shared.db.ids import COMMIT_WINDOW, first_id, made_at
from shared.db.times import utc_now
from shared.projects.callers import Caller, Presented
from shared.webhooks.event_filter import EventFilter
from shared.webhooks.models import WebhookEvent

PAGE_EVENTS = 200
_missed_limiter = anyio.CapacityLimiter(4)  # what streams have missed is read beside other requests, not before them


def follow(request: Request, caller: Caller, wanted: EventFilter, since: datetime | None) -> EventStream:
    """Stream the matching events of the caller's project, from `since` or from now on."""
    return EventStream(_Stream(caller.project_id, wanted, since).blocks(presented_by(request)), caller)


class _Stream:
    """What one client is sent: the events from the id `_from` on.

    Events may come from the database and from the poller: `_read` has those read from the database that the poller may
    find later.
    """

    def __init__(self, project_id: str, wanted: EventFilter, since: datetime | None) -> None:
        self._project_id = project_id
        self._wanted = wanted
        self._is_behind = since is not None
        self._from = first_id(WebhookEvent.id_prefix, since - COMMIT_WINDOW if since else utc_now())
        self._last = self._from
        self._read: set[str] = set()

    async def blocks(self, key: Presented) -> AsyncIterator[bytes]:
        """Yield blocks until the server stops or the key is no longer valid, which each poll checks."""
        with poller.opened(self._project_id, ProjectFeed(), key) as cursor:
            yield KEEP_ALIVE
            sent_at = time.monotonic()
            while not cursor.is_over:
                if self._is_behind:
                    async for block in self._missed(cursor):
                        yield block
                new = cursor.take()
                if new is None:  # the client was too slow: its events are no longer buffered
                    self._is_behind = True
                    self._from = max(self._from, first_id(WebhookEvent.id_prefix, made_at(self._last) - COMMIT_WINDOW))
                elif block := b"".join(entry.block for entry in new if self._is_news(entry)):
                    yield block
                    sent_at = time.monotonic()
                elif not await cursor.wait(max(0, sent_at + KEEP_ALIVE_SECONDS - time.monotonic())):
                    yield KEEP_ALIVE
                    sent_at = time.monotonic()

    async def _missed(self, cursor: Cursor[EventEntry]) -> AsyncIterator[bytes]:
        """Yield the events in the database from `_from` on."""
        window, after, is_all = window_start(), "", False
        self._read = {id for id in self._read if id >= window}
        while not (is_all or cursor.is_over):
            page = await anyio.to_thread.run_sync(self._page, after, limiter=_missed_limiter)
            self._read.update(entry.id for entry in page if entry.id >= window)
            is_all = len(page) < PAGE_EVENTS
            if page:
                self._last = after = page[-1].id
                yield b"".join(entry.block for entry in page)
        self._is_behind = False

    def _page(self, after: str) -> list[EventEntry]:
        query = select(WebhookEvent).where(WebhookEvent.project_id == self._project_id, *self._wanted.conditions())
        query = query.where(WebhookEvent.id >= self._from, WebhookEvent.id > after)
        with transaction(self._project_id) as session:
            return [entry_of(event) for event in session.exec(query.order_by(WebhookEvent.id).limit(PAGE_EVENTS))]

    def _is_news(self, entry: EventEntry) -> bool:
        if entry.id in self._read:
            self._read.remove(entry.id)
            return False
        is_wanted = entry.id >= self._from and self._wanted.admits(entry.type, entry.object_id, entry.created_at)
        self._last = max(self._last, entry.id) if is_wanted else self._last
        return is_wanted
