"""A job's events and status as they change, as server-sent events: for those who want to see it train.

First comes what is stored, read page by page as fast as it is taken; then what `job_watch` finds, for all streams
together.
"""

from collections.abc import AsyncIterator, Mapping

from fastapi.responses import StreamingResponse
from sqlalchemy import ColumnElement, literal_column
from sqlmodel import col, or_, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.streams.events import ALIVE, HEADERS, KEEP_ALIVE_EVERY, MEDIA_TYPE, secret_of
from api.streams.feed import Entry, Place, event_entry, job_entry, watch
from shared.database import transaction
from shared.db.ids import COMMIT_WINDOW, first_id, made_at
from shared.jobs.models import Job, JobEvent

AT_ONCE = 200  # events: some 100 kB


def follow(request: Request, job: Job, last: str | None) -> StreamingResponse:
    """The job as it is now, all its events or those after the event `last`, and whatever comes, until it has ended."""
    return StreamingResponse(_Stream(job, last).blocks(secret_of(request)), media_type=MEDIA_TYPE, headers=HEADERS)


class _Stream:
    """What one who follows a job has been sent: the events up to about `_last`, and the status `_status`.

    Of what the watch has found, the first `_count`; of what it will find, `_read`.
    """

    def __init__(self, job: Job, last: str | None) -> None:
        self._job = job
        self._status = job.status
        self._last = last or ""
        self._read: set[str] = set()
        self._count = 0

    async def blocks(self, secret: str) -> AsyncIterator[bytes]:
        """A final job is shown after all its events, and nothing after it."""
        shown = job_entry(self._job).block
        with watch.follow(self._job, secret) as place:
            if not self._status.is_final:
                yield shown
            async for block in self._stored(place):
                yield block
            if self._status.is_final and not place.is_over:
                yield shown
            async for block in self._found(place):
                yield block

    async def _stored(self, place: Place) -> AsyncIterator[bytes]:
        """All that was not sent, as the database has it."""
        since, seen, count, which, after = watch.since, watch.seen, watch.count, _unsent(self._last), ""
        is_all = False
        while not (is_all or place.is_over):
            page = await run_in_threadpool(self._page, which, after)
            unsent = [entry for entry in page if not self._was_sent(entry.id, seen)]
            self._read.update(entry.id for entry in unsent if entry.id >= since and entry.id not in seen)
            if unsent:
                self._last = max(self._last, unsent[-1].id)
                yield b"".join(entry.block for entry in unsent)
            is_all = len(page) < AT_ONCE
            after = page[-1].id if page else after
        self._count = count

    def _was_sent(self, id: str, seen: Mapping[str, int]) -> bool:
        return id in self._read or 0 < seen.get(id, 0) <= self._count

    def _page(self, which: list[ColumnElement[bool]], after: str) -> list[Entry]:
        query = select(JobEvent).where(JobEvent.project_id == self._job.project_id, JobEvent.job_id == self._job.id)
        query = query.where(JobEvent.id > after, *which).order_by(JobEvent.id).limit(AT_ONCE)
        with transaction(self._job.project_id) as session:
            return [event_entry(event) for event in session.exec(query)]

    async def _found(self, place: Place) -> AsyncIterator[bytes]:
        while not (self._status.is_final or place.is_over):
            new = place.take()
            if new is not None:
                self._count = watch.count
            else:
                new = [place.feed.job] if place.feed.job else []
                async for block in self._stored(place):
                    yield block
            blocks = [entry.block for entry in new if self._is_news(entry)]
            for start in range(0, len(blocks), AT_ONCE):
                yield b"".join(blocks[start : start + AT_ONCE])
            if not blocks and not await place.wait(KEEP_ALIVE_EVERY):
                yield ALIVE

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
    """What may not have been sent to one who has seen the event `last`: those after it, and those committed after it.

    What was committed together with it was sent before it; of the others nobody knows.
    """
    if not last:
        return []
    back = first_id(JobEvent.id_prefix, made_at(last) - COMMIT_WINDOW)
    together = select(literal_column("xmin")).where(JobEvent.id == last).correlate(None).scalar_subquery()
    return [col(JobEvent.id) >= back, or_(col(JobEvent.id) > last, literal_column("job_events.xmin") != together)]
