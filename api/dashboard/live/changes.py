"""Tells the open lists of jobs which projects have changed, with one query for all lists of this process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import OperationalError, TimeoutError
from starlette.concurrency import run_in_threadpool
from structlog import get_logger

from api.streams.polling import Buffer, Polling
from shared.database import transaction
from shared.projects import callers
from shared.projects.callers import Presented

log = get_logger(__name__)
MAX_BUFFERED = 10
# What a row of the list shows of the newest jobs, as one number for each project.
_STATES = text("""
    select p.id, coalesce((
        select sum(hashtextextended(concat_ws('/', j.id, j.status, j.request, j.step, j.queue_position, j.cost), 0))
        from (select * from jobs where jobs.project_id = p.id order by id desc limit 200) j
    ), 0)::text
    from unnest(cast(:ids as text[])) as p (id)
""")


class ProjectJobs(Buffer[str]):
    """The states of one project's jobs, each a text that differs from the one before."""

    def __init__(self) -> None:
        super().__init__(MAX_BUFFERED)
        self.state: str | None = None

    def put(self, new: Sequence[str]) -> None:
        self.state = new[-1]
        super().put(new)


@dataclass(frozen=True)
class _Found:
    valid_keys: set[Presented]
    states: dict[str, str]


class JobListPoller(Polling[ProjectJobs, str]):
    def begin(self) -> None:
        """Nothing is remembered from the time before."""

    async def poll(self) -> bool:
        keys = self.keys()
        try:
            found = await run_in_threadpool(_find, list(self.buffers), keys)
        except (OperationalError, TimeoutError) as error:
            log.warning("the changes of listed jobs cannot be read", reason=str(error))
            return True
        self._note(found.states)
        self.end(keys - found.valid_keys)
        return True

    def _note(self, states: Mapping[str, str]) -> None:
        for project_id, state in states.items():
            buffer = self.buffers.get(project_id)
            if buffer is not None and buffer.state != state:
                buffer.put([state])


def _find(project_ids: list[str], keys: set[Presented]) -> _Found:
    """Works across projects: each stream is told only that its own project has changed."""
    with transaction() as session:
        valid = callers.still_valid(session, keys, "jobs:read")
        rows = session.connection().execute(_STATES, {"ids": project_ids})
        return _Found(valid, {row[0]: row[1] for row in rows})


poller = JobListPoller()
