"""How a job is stopped: SIGTERM or the end of stdin pause it, SIGUSR1 cancels it.

No signal of the server reaches a job on another machine. Such a job has a number, that of its attempt, and reads the
file `ask` in its folder: `pause 2` and `cancel 2` are for the second attempt, `leave 2` ends all attempts up to it.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Literal

PAUSED, CANCELLED = 75, 0  # exit codes

SUPERSEDED = 76  # exit code: a later attempt has the folder
ATTEMPT = "TRAINER_ATTEMPT"  # the variable that has the number of the attempt
_LOOK_SECONDS = 0.5
_SIGNALS = {"pause": signal.SIGTERM, "cancel": signal.SIGUSR1}

Wish = Literal["paused", "cancelled"]


class Stopping:
    """Until `take_over` there is no step to finish: a signal ends the process where it stands, once it can tell of its
    end. After it a signal only leaves a wish, which is read at the end of each step."""

    def __init__(self) -> None:
        self.wish: Wish | None = None
        self._tell: Callable[[Wish], None] | None = None
        self._training = False

    def listen(self, folder: Path) -> None:
        self.listen_to_signals()
        follow, given = (_pause_at_end_of_stdin, ()) if attempt() is None else (_do_what_is_asked, (folder,))
        threading.Thread(target=follow, args=given, daemon=True).start()

    def listen_to_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_signal)

    def heed_no_more(self) -> None:
        """All is told. A signal that comes while Python leaves would otherwise be the process's exit code."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    def agreed(self) -> Wish | None:
        """The wish that all processes of the job heed."""
        return self.wish

    def before_leaving(self, tell: Callable[[Wish], None]) -> None:
        """What is called when a signal ends the process before training, also one that has come already."""
        self._tell = tell
        if self.wish is not None:
            self._leave(self.wish, tell)

    def take_over(self) -> None:
        self._training = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.wish != "cancelled":
            self.wish = "cancelled" if number == signal.SIGUSR1 else "paused"
        if not self._training and self._tell is not None:
            self._leave(self.wish, self._tell)

    def _leave(self, wish: Wish, tell: Callable[[Wish], None]) -> None:
        tell(wish)
        os._exit(exit_code(wish))


def exit_code(wish: Wish) -> int:
    return PAUSED if wish == "paused" else CANCELLED


def attempt() -> int | None:
    """None on the server's own machine."""
    number = os.environ.get(ATTEMPT)
    return int(number) if number else None


def leave_if_superseded(folder: Path) -> None:
    """Ends the process at once, without a word, if the server has given the folder to a later attempt."""
    asked, last = _asked(folder)
    mine = attempt()
    if mine is not None and (mine < last or (mine == last and asked == "leave")):
        os._exit(SUPERSEDED)


def _asked(folder: Path) -> tuple[str, int]:
    """What is asked, and up to which attempt. Opened anew each time, for which network storage looks again."""
    try:
        asked, last = (folder / "ask").read_text().split()
        return asked, int(last)
    except (OSError, ValueError):
        return "", 0


def _do_what_is_asked(folder: Path) -> None:
    done = ""
    while True:
        leave_if_superseded(folder)
        asked, last = _asked(folder)
        if asked in _SIGNALS and attempt() == last and asked != done:
            os.kill(os.getpid(), _SIGNALS[asked])
            done = asked
        time.sleep(_LOOK_SECONDS)


def _pause_at_end_of_stdin() -> None:
    """The server holds the other end of the pipe: it ends when the server dies."""
    try:
        while os.read(0, 4096):
            pass
    except OSError:  # started without stdin
        return
    os.kill(os.getpid(), signal.SIGTERM)
