"""A Redis that does not answer is waited for once by a process, and then by none of its requests until it answers."""

import logging
import threading
from collections.abc import Callable

ASK_EVERY = 1.0  # seconds
log = logging.getLogger(__name__)


class Silence:
    """Whether Redis has fallen silent, as far as this process knows; then it is asked again until it answers.

    `ask` raises whatever it likes while Redis does not answer.
    """

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask
        self._lasts = False
        self._begins = threading.Lock()

    @property
    def lasts(self) -> bool:
        return self._lasts

    def begin(self, reason: object) -> None:
        with self._begins:
            if self._lasts:
                return
            self._lasts = True
        log.warning("Redis does not answer; nobody waits for it until it does: %s", reason)
        self._ask_later()

    def suspect(self) -> None:
        """A busy event loop takes its own delay for one of Redis: so a thread looks before silence begins."""
        threading.Thread(target=self._look, daemon=True, name="suspicion").start()

    def _look(self) -> None:
        try:
            self._ask()
        except Exception as error:
            self.begin(error)

    def _ask_later(self) -> None:
        timer = threading.Timer(ASK_EVERY, self._ask_again)
        timer.daemon = True
        timer.start()

    def _ask_again(self) -> None:
        try:
            self._ask()
        except Exception:  # whatever it is: somebody must go on asking
            self._ask_later()
            return
        log.warning("Redis answers again")
        self._lasts = False
