"""How a quota is counted: exactly, one request of a project at a time, or from a count that is up to a minute old."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, select
from sqlmodel.sql.expression import SelectOfScalar

COUNT_AGAIN_SECONDS = 60.0
RECOUNT_SECONDS = 1.0
COUNT_AGAIN_AFTER = 1000  # additions of this process since the last count
MAX_COUNTED_PROJECTS = 10_000


def one_at_a_time(session: Session, quota: str, project_id: str) -> None:
    """Wait until no other transaction counts this quota of the project; the lock ends with the transaction.

    Take it after all locks on rows, so that two transactions cannot wait for each other.
    """
    session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{quota} of {project_id}", 0))))


def count_up_to(session: Session, query: SelectOfScalar[str], limit: int | None) -> int:
    """Return how many rows the query of ids finds. It reads no more than `limit` of them."""
    some = query.limit(limit).subquery()
    return session.exec(select(func.count()).select_from(some)).one()


@dataclass(slots=True)
class _Counted:
    count: int
    at: float
    since: int = 0

    @property
    def age(self) -> float:
        return time.monotonic() - self.at

    def is_old(self, limit: int) -> bool:
        """Near the limit a count is old after a second, so that nobody is refused for what is gone already."""
        is_full = self.count + self.since >= limit
        return self.age > (RECOUNT_SECONDS if is_full else COUNT_AGAIN_SECONDS) or self.since >= COUNT_AGAIN_AFTER


class RecentCount:
    """Counts of this process, by project: at most a minute old, and 1,000 of its own additions.

    Between two counts of the database only what this process lets in is added. So each of several processes may let in
    1,000 beyond a limit, at most.
    """

    def __init__(self) -> None:
        self._counts: dict[str, _Counted] = {}
        self._lock = threading.Lock()

    def take(self, project_id: str, limit: int, count: Callable[[], int]) -> bool:
        """Count one more, unless that would exceed the limit; whether it was counted."""
        known = self._counts.get(project_id)
        if known is None or known.is_old(limit):
            known = _Counted(count(), time.monotonic())
        with self._lock:
            if len(self._counts) >= MAX_COUNTED_PROJECTS:
                self._counts.clear()
            self._counts[project_id] = known
            if known.count + known.since >= limit:
                return False
            known.since += 1
            return True
