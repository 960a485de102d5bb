"""Reads the events of all projects that are streamed by this process, and hands each stream those of its project."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import String, any_, func, literal, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import OperationalError, TimeoutError
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool
from structlog import get_logger

from api.streams.polling import Buffer, Polling
from shared.database import transaction
from shared.db.ids import COMMIT_WINDOW, first_id
from shared.db.times import utc_now
from shared.projects import callers
from shared.projects.callers import Presented
from shared.webhooks import readers
from shared.webhooks.models import WebhookEvent
from shared.webhooks.schemas import WebhookEventPublic

log = get_logger(__name__)
MAX_EVENTS_PER_POLL = 200  # of each project, so that one with many keeps no other waiting
MAX_BUFFERED_EVENTS = 1_000  # per project
NOTE_READERS_EVERY = timedelta(days=1)


class EventEntry(NamedTuple):
    """A block to send, and what filters ask of its event."""

    id: str
    type: str
    object_id: str
    created_at: datetime
    block: bytes


def entry_of(event: WebhookEvent) -> EventEntry:
    data = WebhookEventPublic.of(event).model_dump_json()
    block = f"id: {event.id}\nevent: {event.type}\ndata: {data}\n\n".encode()
    return EventEntry(event.id, event.type, event.object_id, event.created_at, block)


class ProjectFeed(Buffer[EventEntry]):
    """The events of one project that some stream has not taken yet.

    The next poll reads from the id `since` on; `seen` are the events from there on that earlier polls have found.
    """

    def __init__(self) -> None:
        super().__init__(MAX_BUFFERED_EVENTS)
        self.since = window_start()
        self.seen: set[str] = set()

    def found(self, new: list[EventEntry], polled_since: str) -> bool:
        """Take what a poll has found; whether that is all there is. `polled_since`: where the next poll may begin."""
        is_all = len(new) < MAX_EVENTS_PER_POLL
        self.seen.update(entry.id for entry in new)
        self.since = max(self.since, polled_since if is_all else min(polled_since, new[-1].id))
        self.seen = {id for id in self.seen if id >= self.since}
        self.put(new)
        return is_all


def window_start() -> str:
    """The smallest id of an event that may become visible from now on."""
    return first_id(WebhookEvent.id_prefix, utc_now() - COMMIT_WINDOW)


@dataclass(frozen=True)
class _Found:
    valid_keys: set[Presented]
    events: dict[str, list[EventEntry]]


class EventPolling(Polling[ProjectFeed, EventEntry]):
    """Also notes at `note_at` that the projects read their events, since a stream may stay open for months."""

    def __init__(self) -> None:
        super().__init__()
        self.note_at = utc_now()

    def begin(self) -> None:
        """Where to read from is each feed's own matter. A stream that is opened notes its project itself."""
        self.note_at = utc_now() + NOTE_READERS_EVERY

    async def poll(self) -> bool:
        since, keys = window_start(), self.keys()
        known = {project_id: (feed.since, frozenset(feed.seen)) for project_id, feed in self.buffers.items()}
        try:
            found = await run_in_threadpool(_find, known, keys)
        except (OperationalError, TimeoutError) as error:
            log.warning("the events of streamed projects cannot be read", reason=str(error))
            return True
        self.end(keys - found.valid_keys)
        is_all = True
        for id in known.keys() & self.buffers.keys():
            is_all &= self.buffers[id].found(found.events.get(id, []), since)
        await self._note(list(known))
        return is_all

    async def _note(self, project_ids: list[str]) -> None:
        if utc_now() < self.note_at:
            return
        self.note_at = utc_now() + NOTE_READERS_EVERY
        try:
            await run_in_threadpool(_note_readers, project_ids)
        except (OperationalError, TimeoutError) as error:
            log.warning("that projects read their events could not be noted", reason=str(error))


def _find(known: Mapping[str, tuple[str, frozenset[str]]], keys: set[Presented]) -> _Found:
    """Read the new events of each project, from an id on and without those already seen.

    Works across projects: each stream has checked that its caller may read events. AUTOCOMMIT: nothing that a query
    locks or sees needs to last until the next one.
    """
    with transaction() as session:
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        valid = callers.still_valid(session, keys, "webhooks:read")
        unseen = _unseen_ids(session, known)
        found: dict[str, list[EventEntry]] = {}
        if unseen:
            query = select(WebhookEvent).where(col(WebhookEvent.id) == any_(literal(unseen, ARRAY(String))))
            for event in session.exec(query.order_by(WebhookEvent.id)):
                found.setdefault(event.project_id, []).append(entry_of(event))
    return _Found(valid, found)


def _note_readers(project_ids: list[str]) -> None:
    with transaction() as session:
        readers.note_readers(session, project_ids)


def _unseen_ids(session: Session, known: Mapping[str, tuple[str, frozenset[str]]]) -> list[str]:
    """Return the oldest new ids of each project, at most `MAX_EVENTS_PER_POLL` of each."""
    sinces = [since for since, _ in known.values()]
    each = func.unnest(literal(list(known), ARRAY(String)), literal(sinces, ARRAY(String)))
    asked = each.table_valued("project_id", "since").render_derived()
    most = MAX_EVENTS_PER_POLL + max((len(seen) for _, seen in known.values()), default=0)
    newest = (
        select(WebhookEvent.id)
        .where(WebhookEvent.project_id == asked.c.project_id, WebhookEvent.id >= asked.c.since)
        .order_by(WebhookEvent.id)
        .limit(most)
        .lateral()
    )
    unseen: dict[str, list[str]] = {}
    for project_id, id in session.exec(select(asked.c.project_id, newest.c.id).join(newest, true())):
        if id not in known[project_id][1]:
            unseen.setdefault(project_id, []).append(id)
    return [id for ids in unseen.values() for id in sorted(ids)[:MAX_EVENTS_PER_POLL]]


poller = EventPolling()
