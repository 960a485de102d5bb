"""How many deliveries may be on their way at once: to one endpoint, and for one project.

Each worker process counts its own. An endpoint begins with one lane and gets more as it answers, so one that hangs
holds one thread. What finds no lane free is taken by whoever of its project comes back next.
"""

import threading
from collections import Counter

from shared.webhooks.models import WebhookEndpoint

LANES_OF_AN_ENDPOINT = 8
KNOWN_ENDPOINTS = 10_000


class Lanes:
    """Lanes of this process, `of_a_project` at most. Safe to use from many threads."""

    def __init__(self) -> None:
        self.of_a_project = LANES_OF_AN_ENDPOINT
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()

    def take(self, project_id: str, endpoint_id: str) -> bool:
        """Whether there was a lane free. Who takes one gives it back."""
        with self._lock:
            if not self._is_free(project_id, endpoint_id):
                return False
            self._taken.update((project_id, endpoint_id))
            return True

    def is_free(self, project_id: str, endpoint_id: str) -> bool:
        with self._lock:
            return self._is_free(project_id, endpoint_id)

    def _is_free(self, project_id: str, endpoint_id: str) -> bool:
        return self._taken[project_id] < self.of_a_project and not self._is_full(endpoint_id)

    def _is_full(self, endpoint_id: str) -> bool:
        return self._taken[endpoint_id] >= min(LANES_OF_AN_ENDPOINT, 1 + self._answered[endpoint_id])

    def is_full(self, endpoint_id: str) -> bool:
        with self._lock:
            return self._is_full(endpoint_id)

    def full(self) -> list[str]:
        """The endpoints to which no lane is free."""
        with self._lock:
            return [id for id in self._taken if id.startswith(WebhookEndpoint.id_prefix) and self._is_full(id)]

    def give_back(self, project_id: str, endpoint_id: str) -> None:
        with self._lock:
            for id in (project_id, endpoint_id):
                self._taken[id] -= 1
                if not self._taken[id]:
                    del self._taken[id]

    def note(self, endpoint_id: str, has_answered: bool) -> None:
        """One that answers may have more lanes; one that does not has one again."""
        with self._lock:
            if not has_answered:
                self._answered.pop(endpoint_id, None)
            elif self._answered[endpoint_id] < LANES_OF_AN_ENDPOINT:
                self._answered[endpoint_id] += 1
            if len(self._answered) > KNOWN_ENDPOINTS:
                self._answered.clear()
