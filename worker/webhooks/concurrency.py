"""Limits how many deliveries one worker process sends at the same time: to one endpoint, and for one project.

An endpoint begins with one concurrency slot and gets one more with each answer, up to eight, so an endpoint that hangs
holds one thread. Slots are per process and in memory: after a restart each begins with one again.
"""

import threading
from collections import Counter

from shared.webhooks.models import WebhookEndpoint

MAX_SLOTS_PER_ENDPOINT = 8
MAX_ENDPOINTS_REMEMBERED = 10_000


class ConcurrencySlots:
    """Slots of this process, `max_per_project` at most for one project. Safe to use from many threads."""

    def __init__(self) -> None:
        self.max_per_project = MAX_SLOTS_PER_ENDPOINT
        self._lock = threading.Lock()
        self._in_use: Counter[str] = Counter()  # by project id and by endpoint id
        self._answers: Counter[str] = Counter()

    def acquire(self, project_id: str, endpoint_id: str) -> bool:
        """Takes a slot if one is free; the caller then calls `release`."""
        with self._lock:
            if not self._is_free(project_id, endpoint_id):
                return False
            self._in_use.update((project_id, endpoint_id))
            return True

    def is_free(self, project_id: str, endpoint_id: str) -> bool:
        with self._lock:
            return self._is_free(project_id, endpoint_id)

    def _is_free(self, project_id: str, endpoint_id: str) -> bool:
        return self._in_use[project_id] < self.max_per_project and not self._is_full(endpoint_id)

    def _is_full(self, endpoint_id: str) -> bool:
        return self._in_use[endpoint_id] >= min(MAX_SLOTS_PER_ENDPOINT, 1 + self._answers[endpoint_id])

    def is_full(self, endpoint_id: str) -> bool:
        with self._lock:
            return self._is_full(endpoint_id)

    def full_endpoints(self) -> list[str]:
        with self._lock:
            return [id for id in self._in_use if id.startswith(WebhookEndpoint.id_prefix) and self._is_full(id)]

    def release(self, project_id: str, endpoint_id: str) -> None:
        with self._lock:
            for id in (project_id, endpoint_id):
                self._in_use[id] -= 1
                if not self._in_use[id]:
                    del self._in_use[id]

    def record_answer(self, endpoint_id: str, succeeded: bool) -> None:
        """A success adds a slot; a failure takes the endpoint back to one."""
        with self._lock:
            if not succeeded:
                self._answers.pop(endpoint_id, None)
            elif self._answers[endpoint_id] < MAX_SLOTS_PER_ENDPOINT:
                self._answers[endpoint_id] += 1
            if len(self._answers) > MAX_ENDPOINTS_REMEMBERED:
                self._answers.clear()
