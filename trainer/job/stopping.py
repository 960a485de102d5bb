"""How a job is stopped: SIGTERM or the end of stdin pause it, SIGUSR1 cancels it."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Literal

PAUSED, CANCELLED = 75, 0  # exit codes

Wish = Literal["paused", "cancelled"]


class Stopping:
    """Until `take_over` there is no step to finish, so a signal ends the process where it stands; after it, a signal
    only leaves a wish, which is read at the end of each step."""

    def __init__(self) -> None:
        self.wish: Wish | None = None
        self._leave: Callable[[Wish], None] = lambda wish: None
        self._training = False

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_signal)
        threading.Thread(target=_pause_at_end_of_stdin, daemon=True).start()

    def before_leaving(self, tell: Callable[[Wish], None]) -> None:
        """What is called when a signal ends the process before training."""
        self._leave = tell

    def take_over(self) -> None:
        self._training = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.wish != "cancelled":
            self.wish = "cancelled" if number == signal.SIGUSR1 else "paused"
        if not self._training:
            self._leave(self.wish)
            os._exit(exit_code(self.wish))


def exit_code(wish: Wish) -> int:
    return PAUSED if wish == "paused" else CANCELLED


def _pause_at_end_of_stdin() -> None:
    """The server holds the other end of the pipe: it ends when the server dies."""
    try:
        while os.read(0, 4096):
            pass
    except OSError:  # started without stdin
        return
    os.kill(os.getpid(), signal.SIGTERM)
