"""Stops asking a Redis that does not answer, so that requests do not wait for it one after the other."""

import logging
import threading
from collections.abc import Callable

PROBE_INTERVAL_SECONDS = 1.0
log = logging.getLogger(__name__)


class CircuitBreaker:
    """Open while Redis is known not to answer; then it is probed once a second until it answers.

    `probe` must raise an exception, any, while Redis does not answer.
    """

    def __init__(self, probe: Callable[[], object]) -> None:
        self._probe = probe
        self._is_open = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return self._is_open

    def open(self, reason: object) -> None:
        with self._lock:
            if self._is_open:
                return
            self._is_open = True
        log.warning("Redis does not answer and is not used until it does: %s", reason)
        self._probe_later()

    def suspect(self) -> None:
        """Probe in a thread, and open on failure: a busy event loop may mistake its own delay for one of Redis."""
        threading.Thread(target=self._probe_once, daemon=True, name="redis-probe").start()

    def _probe_once(self) -> None:
        try:
            self._probe()
        except Exception as error:
            self.open(error)

    def _probe_later(self) -> None:
        timer = threading.Timer(PROBE_INTERVAL_SECONDS, self._probe_again)
        timer.daemon = True
        timer.start()

    def _probe_again(self) -> None:
        try:
            self._probe()
        except Exception:  # any at all: without another probe the breaker would stay open for ever
            self._probe_later()
            return
        log.warning("Redis answers again")
        self._is_open = False
