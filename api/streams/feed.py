"""Reads the events of all jobs that are streamed by this process, and hands each stream the entries of its job."""

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import String, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import OperationalError, TimeoutError
from sqlmodel import Session, col, select
from starlette.concurrency import run_in_threadpool
from structlog import get_logger

from api.streams.polling import Buffer, Cursor, Polling
from shared.database import transaction
from shared.db.ids import COMMIT_WINDOW, first_id
from shared.db.times import utc_now
from shared.jobs.models import Job, JobEvent, JobStatus
from shared.jobs.schemas import JobEventPublic, JobPublic
from shared.projects import callers
from shared.projects.callers import Presented

log = get_logger(__name__)
MAX_EVENTS_PER_POLL = 5_000
MAX_BUFFERED_ENTRIES = 10_000  # per job


class Entry(NamedTuple):
    """A block to send: an event (`status` is None), or the job with a new status."""

    id: str
    status: JobStatus | None
    block: bytes


def event_entry(event: JobEvent) -> Entry:
    data = JobEventPublic.of(event).model_dump_json()
    return Entry(event.id, None, f"id: {event.id}\nevent: fine_tuning.job.event\ndata: {data}\n\n".encode())


def job_entry(job: Job) -> Entry:
    """Only a final job's block has an id, so that a client that reconnects with it is known to have seen everything."""
    id = f"id: {job.id}\n" if job.status.is_final else ""
    data = JobPublic.of(job).model_dump_json()
    return Entry(job.id, job.status, f"{id}event: fine_tuning.job\ndata: {data}\n\n".encode())


class Feed(Buffer[Entry]):
    """The entries of one job that some stream has not taken yet.

    `status` is the job's as last read; None if it must be read again. `job` is the last entry with a status.
    """

    def __init__(self, status: JobStatus) -> None:
        super().__init__(MAX_BUFFERED_ENTRIES)
        self.status: JobStatus | None = status
        self.job: Entry | None = None

    def put(self, new: Sequence[Entry]) -> None:
        for entry in new:
            if entry.status is not None:
                self.job, self.status = entry, entry.status
        super().put(new)


@dataclass(frozen=True)
class _Found:
    """Result of one poll; `is_all` is False if there are more new events than one poll reads."""

    valid_keys: set[Presented]
    jobs: list[Job]
    entries: list[tuple[str, Entry]]
    is_all: bool


class Poller(Polling[Feed, Entry]):
    """A poll that fails is repeated from where the last successful one began.

    `count` is the number of events found so far; `seen` maps events that the next poll will find again to their number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}
        self.count = 0
        self._polled_at = utc_now()

    @property
    def since(self) -> str:
        """The smallest event id that the next poll reads."""
        return first_id(JobEvent.id_prefix, self._polled_at - COMMIT_WINDOW)

    def begin(self) -> None:
        self._polled_at = utc_now()

    @contextmanager
    def follow(self, job: Job, key: Presented) -> Iterator[Cursor[Entry]]:
        """Open a cursor at the end of the job's feed. `job` must have been read just now."""
        with self.opened(job.id, Feed(job.status), key) as cursor:
            feed = self.buffers[job.id]
            if feed.status is not job.status:
                feed.status = None  # either may be the newer one: let the next poll read the job
            yield cursor

    async def poll(self) -> bool:
        began, since = utc_now(), self.since
        statuses = {job_id: feed.status for job_id, feed in self.buffers.items()}
        keys = self.keys()
        try:
            found = await run_in_threadpool(_find, statuses, keys, since, self.seen)
        except (OperationalError, TimeoutError) as error:
            log.warning("the events of streamed jobs cannot be read", reason=str(error))
            return True
        self._polled_at = began if found.is_all else self._polled_at
        new = {entry.id: number for number, (_, entry) in enumerate(found.entries, self.count + 1)}
        self.seen = {id: number for id, number in self.seen.items() if id >= since} | new
        self.count += len(new)
        self._distribute(found)
        self.end(keys - found.valid_keys)
        return found.is_all

    def _distribute(self, found: _Found) -> None:
        """Put the entries into the feeds. A job follows its events, and waits until all of them have been read."""
        new: dict[str, list[Entry]] = {}
        for job_id, entry in found.entries:
            new.setdefault(job_id, []).append(entry)
        for job in found.jobs if found.is_all else ():
            new.setdefault(job.id, []).append(job_entry(job))
        for job_id in new.keys() & self.buffers.keys():
            self.buffers[job_id].put(new[job_id])


def _find(statuses: Mapping[str, JobStatus | None], keys: set[Presented], since: str, seen: Container[str]) -> _Found:
    """Read jobs before events, so that a job found to be final has all its events among those found.

    Works across projects: each stream has checked that its caller may read the job. AUTOCOMMIT: nothing that a query
    locks or sees needs to last until the next one.
    """
    with transaction() as session:
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        valid = callers.still_valid(session, keys, "jobs:read")
        ids = any_(literal(list(statuses), ARRAY(String)))
        now = session.exec(select(Job.id, Job.status).where(col(Job.id) == ids))
        changed = [id for id, status in now if status is not statuses[id]]
        jobs = list(session.exec(select(Job).where(col(Job.id).in_(changed)))) if changed else []
        newest = select(JobEvent.id).where(col(JobEvent.job_id) == ids, JobEvent.id >= since).order_by(JobEvent.id)
        unseen = [id for id in session.exec(newest) if id not in seen]
        events = _events(session, unseen[:MAX_EVENTS_PER_POLL])
    is_all = len(unseen) <= MAX_EVENTS_PER_POLL
    return _Found(valid, jobs, [(each.job_id, event_entry(each)) for each in events], is_all)


def _events(session: Session, ids: list[str]) -> list[JobEvent]:
    if not ids:
        return []
    query = select(JobEvent).where(col(JobEvent.id) == any_(literal(ids, ARRAY(String))))
    return list(session.exec(query.order_by(JobEvent.id)))


poller = Poller()
