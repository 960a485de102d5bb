"""One look for all who follow jobs: what is new of any of them is read once, and handed to each stream.

A thread and a query for every open stream would be too much: there may be a thousand of them in one process.
"""

import asyncio
from collections import deque
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import anyio
from sqlalchemy import String, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import OperationalError, TimeoutError
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool
from structlog import get_logger

from api.streams.events import LOOK_EVERY, is_stopping
from shared.database import transaction
from shared.db.ids import COMMIT_WINDOW, first_id
from shared.db.times import utc_now
from shared.jobs.models import Job, JobEvent, JobStatus
from shared.jobs.schemas import JobEventPublic, JobPublic
from shared.projects import callers

log = get_logger(__name__)
AT_ONCE = 5_000  # events, in one look
KEPT = 10_000  # events and changes of one job, for whoever reads slowly


class Entry(NamedTuple):
    """Something to be sent: an event, or the job with its new status, which has no id to go on from before its end."""

    id: str
    status: JobStatus | None
    block: bytes


def event_entry(event: JobEvent) -> Entry:
    data = JobEventPublic.of(event).model_dump_json()
    return Entry(event.id, None, f"id: {event.id}\nevent: fine_tuning.job.event\ndata: {data}\n\n".encode())


def job_entry(job: Job) -> Entry:
    """Only the last, final one has an id: who comes back with that has seen everything."""
    id = f"id: {job.id}\n" if job.status.is_final else ""
    data = JobPublic.of(job).model_dump_json()
    return Entry(job.id, job.status, f"{id}event: fine_tuning.job\ndata: {data}\n\n".encode())


class Feed:
    """What was found of one job since somebody follows it, as far as somebody has not yet taken it."""

    def __init__(self, status: JobStatus) -> None:
        self.status: JobStatus | None = status
        self.job: Entry | None = None
        self.places: set[Place] = set()
        self.entries: deque[Entry] = deque()
        self.first = 0

    @property
    def end(self) -> int:
        return self.first + len(self.entries)

    def put(self, new: list[Entry]) -> None:
        taken = min((place.position for place in self.places), default=self.end)
        self.entries.extend(new)
        for _ in range(max(taken - self.first, len(self.entries) - KEPT)):
            self.entries.popleft()
            self.first += 1
        for entry in new:
            if entry.status is not None:
                self.job, self.status = entry, entry.status
        for place in self.places:
            place.news.set()


class Place:
    """Where one stream is in its feed. `is_over` says that nothing more may be sent."""

    def __init__(self, feed: Feed, secret: str) -> None:
        self.feed = feed
        self.secret = secret
        self.position = feed.end
        self.news = asyncio.Event()
        self.is_over = False

    def take(self) -> list[Entry] | None:
        """What is new; None if so much was new that some of it is gone."""
        start, self.position = self.position - self.feed.first, self.feed.end
        return list(islice(self.feed.entries, start, None)) if start >= 0 else None

    async def wait(self, seconds: float) -> bool:
        """Whether there were news in that time."""
        with anyio.move_on_after(seconds):
            await self.news.wait()
        are_there = self.news.is_set()
        self.news.clear()
        return are_there

    def end(self) -> None:
        self.is_over = True
        self.news.set()


@dataclass(frozen=True)
class _Found:
    good: set[str]
    jobs: list[Job]
    entries: list[tuple[str, Entry]]
    is_all: bool


class Watch:
    """Looks while anybody follows. A look that fails is repeated, from where the last good one began.

    `count` is how many events it has found, and `seen` has the number of each that the next look would find again.
    """

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        self.count = 0
        self._feeds: dict[str, Feed] = {}
        self._looked_at = utc_now()
        self._task: asyncio.Task[None] | None = None

    @property
    def since(self) -> str:
        """The next look asks for the events from this id on."""
        return first_id(JobEvent.id_prefix, self._looked_at - COMMIT_WINDOW)

    @contextmanager
    def follow(self, job: Job, secret: str) -> Iterator[Place]:
        """A place in the feed of a job that is as it was just read, for one with this secret."""
        if self._task is None:
            self._looked_at = utc_now()
            self._task = asyncio.create_task(self._run())
        feed = self._feeds.setdefault(job.id, Feed(job.status))
        if feed.status is not job.status:
            feed.status = None  # which of the two is newer, the next look will tell
        place = Place(feed, secret)
        feed.places.add(place)
        try:
            yield place
        finally:
            feed.places.remove(place)
            if not feed.places:
                del self._feeds[job.id]

    async def _run(self) -> None:
        try:
            while self._feeds and not is_stopping():
                is_all = await self._look()
                await anyio.sleep(LOOK_EVERY if is_all else 0)
        finally:
            self._task = None
            self._end({place.secret for place in self._places()})

    def _places(self) -> Iterator[Place]:
        return (place for feed in self._feeds.values() for place in feed.places)

    def _end(self, secrets: set[str]) -> None:
        for place in self._places():
            if place.secret in secrets:
                place.end()

    async def _look(self) -> bool:
        began, since = utc_now(), self.since
        statuses = {job_id: feed.status for job_id, feed in self._feeds.items()}
        secrets = {place.secret for place in self._places()}
        try:
            found = await run_in_threadpool(_look, statuses, secrets, since, self.seen)
        except (OperationalError, TimeoutError) as error:
            log.warning("what is new of the jobs that are followed cannot be read", reason=str(error))
            return True
        self._looked_at = began if found.is_all else self._looked_at
        new = {entry.id: number for number, (_, entry) in enumerate(found.entries, self.count + 1)}
        self.seen = {id: number for id, number in self.seen.items() if id >= since} | new
        self.count += len(new)
        self._hand_out(found)
        self._end(secrets - found.good)
        return found.is_all

    def _hand_out(self, found: _Found) -> None:
        """A job comes after its events; not before all of them are read."""
        new: dict[str, list[Entry]] = {}
        for job_id, entry in found.entries:
            new.setdefault(job_id, []).append(entry)
        for job in found.jobs if found.is_all else ():
            new.setdefault(job.id, []).append(job_entry(job))
        for job_id in new.keys() & self._feeds.keys():
            self._feeds[job_id].put(new[job_id])


def _look(statuses: Mapping[str, JobStatus | None], secrets: set[str], since: str, seen: Container[str]) -> _Found:
    """The jobs first: so a final one has all its events behind it. Whoever follows them may see them.

    Each query is by itself: what is held from one to the next would only be in somebody's way.
    """
    with transaction() as session:
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        good = callers.still_good(session, secrets, "jobs:read")
        ids = any_(literal(list(statuses), ARRAY(String)))
        now = session.exec(select(Job.id, Job.status).where(col(Job.id) == ids))
        changed = [id for id, status in now if status is not statuses[id]]
        jobs = list(session.exec(select(Job).where(col(Job.id).in_(changed)))) if changed else []
        newest = select(JobEvent.id).where(col(JobEvent.job_id) == ids, JobEvent.id >= since).order_by(JobEvent.id)
        unseen = [id for id in session.exec(newest) if id not in seen]
        events = _events(session, unseen[:AT_ONCE])
    return _Found(good, jobs, [(each.job_id, event_entry(each)) for each in events], len(unseen) <= AT_ONCE)


def _events(session: Session, ids: list[str]) -> list[JobEvent]:
    if not ids:
        return []
    query = select(JobEvent).where(col(JobEvent.id) == any_(literal(ids, ARRAY(String))))
    return list(session.exec(query.order_by(JobEvent.id)))


watch = Watch()
