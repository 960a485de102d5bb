"""How many names are looked up at once, in all and for one project, whose name server may hang."""

from collections import Counter
from threading import Condition

MAX_LOOKUPS = 128
MAX_LOOKUPS_PER_PROJECT = 16


class LookupSlots:
    """Slots of lookups under way. Those of no project are bounded by `total` alone."""

    def __init__(self, total: int = MAX_LOOKUPS, per_project: int = MAX_LOOKUPS_PER_PROJECT) -> None:
        self._total, self._per_project = total, per_project
        self._taken: Counter[str | None] = Counter()
        self._changed = Condition()

    def acquire(self, project_id: str | None, wait_seconds: float = 0) -> bool:
        """Take a slot; False if none was free within the time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(project_id), wait_seconds):
                return False
            self._taken[project_id] += 1
            return True

    def release(self, project_id: str | None) -> None:
        with self._changed:
            self._taken[project_id] -= 1
            if not self._taken[project_id]:
                del self._taken[project_id]
            self._changed.notify_all()

    def _is_free(self, project_id: str | None) -> bool:
        is_within_share = project_id is None or self._taken[project_id] < self._per_project
        return is_within_share and self._taken.total() < self._total
