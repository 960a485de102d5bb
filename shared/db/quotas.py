"""How a quota is counted: exactly, one request of a project at a time, or from a count that is up to a minute old."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, func
from sqlalchemy import select as sql_select
from sqlmodel import Session, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.errors import QuotaExceeded

COUNT_AGAIN_SECONDS = 60.0
RECOUNT_SECONDS = 1.0
COUNT_AGAIN_AFTER = 1000  # additions of this process since the last count
MAX_COUNTED_PROJECTS = 10_000


def one_at_a_time(session: Session, quota: str, project_id: str) -> None:
    """Wait until no other transaction counts this quota of the project; the lock ends with the transaction.

    Take it after all locks on rows, so that two transactions cannot wait for each other.
    """
    session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{quota} of {project_id}", 0))))


def count_of(query: SelectOfScalar[str], limit: int | None) -> ScalarSelect[int]:
    """Return a subquery for how many rows the query of ids finds. It reads no more than `limit` of them."""
    return select(func.count()).select_from(query.limit(limit).subquery()).scalar_subquery()


def count_up_to(session: Session, query: SelectOfScalar[str], limit: int | None) -> int:
    """Return how many rows the query of ids finds. It reads no more than `limit` of them."""
    return session.scalars(sql_select(count_of(query, limit))).one()


@dataclass(frozen=True, slots=True)
class Use:
    """How many there are of what is limited, and the limit; None is no limit."""

    count: int
    limit: int | None


@dataclass(slots=True)
class _Counted:
    use: Use
    at: float
    since: int = 0

    @property
    def age(self) -> float:
        return time.monotonic() - self.at

    @property
    def is_full(self) -> bool:
        return self.use.limit is not None and self.use.count + self.since >= self.use.limit

    @property
    def is_old(self) -> bool:
        """At the limit a count is old after a second, so that nobody is refused for what is gone already."""
        most = RECOUNT_SECONDS if self.is_full else COUNT_AGAIN_SECONDS
        return self.age > most or self.since >= COUNT_AGAIN_AFTER


class RecentCount:
    """Counts of this process, by project: at most a minute old, and 1,000 of its own additions.

    Between two counts of the database only what this process lets in is added. So each of several processes may let in
    1,000 beyond a limit, at most.
    """

    def __init__(self) -> None:
        self._counts: dict[str, _Counted] = {}
        self._lock = threading.Lock()

    def take(self, quota: str, project_id: str, look: Callable[[], Use], advice: str) -> None:
        """Count one more. Raises `QuotaExceeded` if that would exceed the limit.

        `look` reads use and limit in the database, so a new limit counts after a minute too.
        """
        known = self._counts.get(project_id)
        if known is None or known.is_old:
            known = _Counted(look(), time.monotonic())
        with self._lock:
            if len(self._counts) >= MAX_COUNTED_PROJECTS:
                self._counts.clear()
            self._counts[project_id] = known
            if known.is_full:
                limit = known.use.limit or 0
                raise QuotaExceeded(quota, limit, limit, advice)
            known.since += 1
