"""Streams a job's events and status changes as server-sent events.

First the stored events, page by page as fast as the client reads; then those that the shared poller of `feed` finds.
"""

from collections.abc import AsyncIterator, Mapping

from sqlalchemy import ColumnElement, literal_column
from sqlmodel import col, or_, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.streams.feed import Entry, event_entry, job_entry, poller
from api.streams.polling import Cursor
from api.streams.wire import KEEP_ALIVE, KEEP_ALIVE_SECONDS, EventStream, presented_by
from shared.database import transaction
from shared.db.ids import COMMIT_WINDOW, first_id, made_at
from shared.jobs.models import Job, JobEvent
from shared.projects.callers import Caller, Presented

PAGE_EVENTS = 200  # about 100 kB


def follow(request: Request, caller: Caller, job: Job, last: str | None) -> EventStream:
    """Stream the job, its events (only those after the event `last`, if given) and all that follow, until it ends."""
    return EventStream(_Stream(job, last).blocks(presented_by(request)), caller)


class _Stream:
    """What one client has been sent: the events up to about `_last`, and the status `_status`.

    Events may reach the client from the database and from the poller; to send each once, `_count` says how many of the
    poller's events were sent, and `_read` has those read from the database that the poller will find later.
    """

    def __init__(self, job: Job, last: str | None) -> None:
        self._job = job
        self._status = job.status
        self._last = last or ""
        self._read: set[str] = set()
        self._count = 0

    async def blocks(self, key: Presented) -> AsyncIterator[bytes]:
        """Yield the job first, or, if it is final already, last: nothing may follow a final job."""
        shown = job_entry(self._job).block
        with poller.follow(self._job, key) as cursor:
            if not self._status.is_final:
                yield shown
            async for block in self._stored(cursor):
                yield block
            if self._status.is_final and not cursor.is_over:
                yield shown
            async for block in self._found(cursor):
                yield block

    async def _stored(self, cursor: Cursor[Entry]) -> AsyncIterator[bytes]:
        """Yield the events in the database that were not sent."""
        since, seen, count, unsent_only, after = poller.since, poller.seen, poller.count, _unsent(self._last), ""
        is_all = False
        while not (is_all or cursor.is_over):
            page = await run_in_threadpool(self._page, unsent_only, after)
            unsent = [entry for entry in page if not self._was_sent(entry.id, seen)]
            self._read.update(entry.id for entry in unsent if entry.id >= since and entry.id not in seen)
            if unsent:
                self._last = max(self._last, unsent[-1].id)
                yield b"".join(entry.block for entry in unsent)
            is_all = len(page) < PAGE_EVENTS
            after = page[-1].id if page else after
        self._count = count

    def _was_sent(self, id: str, seen: Mapping[str, int]) -> bool:
        return id in self._read or 0 < seen.get(id, 0) <= self._count

    def _page(self, conditions: list[ColumnElement[bool]], after: str) -> list[Entry]:
        query = select(JobEvent).where(JobEvent.project_id == self._job.project_id, JobEvent.job_id == self._job.id)
        query = query.where(JobEvent.id > after, *conditions).order_by(JobEvent.id).limit(PAGE_EVENTS)
        with transaction(self._job.project_id) as session:
            return [event_entry(event) for event in session.exec(query)]

    async def _found(self, cursor: Cursor[Entry]) -> AsyncIterator[bytes]:
        """Yield what the poller finds, until the job is final or the key is no longer valid."""
        while not (self._status.is_final or cursor.is_over):
            new = cursor.take()
            if new is not None:
                self._count = poller.count
            else:  # the client was too slow: its events are no longer buffered
                job = poller.buffers[self._job.id].job
                new = [job] if job else []
                async for block in self._stored(cursor):
                    yield block
            blocks = [entry.block for entry in new if self._is_news(entry)]
            for start in range(0, len(blocks), PAGE_EVENTS):
                yield b"".join(blocks[start : start + PAGE_EVENTS])
            if not blocks and not await cursor.wait(KEEP_ALIVE_SECONDS):
                yield KEEP_ALIVE

    def _is_news(self, entry: Entry) -> bool:
        if entry.status is not None:
            is_news, self._status = entry.status is not self._status, entry.status
            return is_news
        if entry.id in self._read:
            self._read.remove(entry.id)
            return False
        self._last = max(self._last, entry.id)
        return True


def _unsent(last: str) -> list[ColumnElement[bool]]:
    """Return the conditions of events that a client which has seen the event `last` may have missed.

    These are the later ones, and earlier ones of other transactions (`xmin`), which may have been committed after it.
    Events of the same transaction were sent before it, in the order of their ids.
    """
    if not last:
        return []
    back = first_id(JobEvent.id_prefix, made_at(last) - COMMIT_WINDOW)
    together = select(literal_column("xmin")).where(JobEvent.id == last).correlate(None).scalar_subquery()
    return [col(JobEvent.id) >= back, or_(col(JobEvent.id) > last, literal_column("job_events.xmin") != together)]
