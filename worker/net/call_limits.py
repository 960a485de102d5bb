"""What one call to a provider may take: time as a whole, bytes, and JSON values.

The limits hold for the call that is active in this thread, whichever connection of a pool it uses.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MAX_JSON_BYTES = 8 << 20
MAX_JSON_VALUES = 500_000  # an empty object takes three bytes to send, and seventy to keep
MAX_ERROR_BYTES = 256 << 10
MAX_FILE_BYTES = 64 << 20  # unless `files_up_to` says another bound
MAX_OVERHEAD_BYTES = 256 << 10  # heads, and the framing of chunks
PROGRESS_BYTES = 1 << 20  # of a file, within the time of a call


class AnswerTooLarge(Exception):
    """The answer goes beyond a bound, which the sentence names.

    `retryable`: the next answer may be smaller. A list or a file will not be.
    """

    def __init__(self, sentence: str, *, retryable: bool) -> None:
        super().__init__(sentence)
        self.retryable = retryable


_max_file_bytes: ContextVar[int] = ContextVar("max_file_bytes", default=MAX_FILE_BYTES)


@contextmanager
def files_up_to(max_bytes: int) -> Iterator[None]:
    """Let calls that begin in the block read files of this size, which nobody keeps in memory."""
    before = _max_file_bytes.set(max_bytes)
    try:
        yield
    finally:
        _max_file_bytes.reset(before)


@dataclass
class Call:
    """One request and its answer, which end within `seconds`.

    A call that `moves_file` has `seconds` for each megabyte instead, and once more for the answer to what it has sent.
    `reads_file`: the answer is the file.
    """

    seconds: float
    moves_file: bool = False
    reads_file: bool = False

    def __post_init__(self) -> None:
        self._max_bytes = _max_file_bytes.get() if self.reads_file else MAX_JSON_BYTES
        self._received = self._decoded = self._values = 0
        self._restart()

    def _restart(self) -> None:
        self._deadline, self._moved = time.monotonic() + self.seconds, 0

    def seconds_left(self) -> float:
        """Not positive when the call must end."""
        return self._deadline - time.monotonic()

    def too_slow(self) -> str:
        if self.moves_file:
            return f"it took more than {self.seconds:g} s for {PROGRESS_BYTES} bytes of a file, or for its answer"
        return f"it did not answer completely within {self.seconds:g} s"

    def note_moved(self, count: int) -> None:
        self._moved += count
        if self.moves_file and self._moved >= PROGRESS_BYTES:
            self._restart()

    def note_all_sent(self) -> None:
        if self.moves_file:
            self._restart()

    def note_received(self, count: int) -> None:
        """Count bytes as they come from the network. Raises `AnswerTooLarge`."""
        self._received += count
        self._check(self._received, self._max_bytes + MAX_OVERHEAD_BYTES, "bytes")
        self.note_moved(count)

    def note_error_answer(self) -> None:
        """The head of the answer says that the call has failed: what follows explains it, and is short."""
        self.reads_file, self._max_bytes = False, MAX_ERROR_BYTES

    def note_decoded(self, piece: bytes) -> None:
        """Count a piece of the body after decompression. Raises `AnswerTooLarge`."""
        self._decoded += len(piece)
        self._check(self._decoded, self._max_bytes, "bytes")
        if not self.reads_file:
            self._values += piece.count(b",") + piece.count(b"{") + piece.count(b"[")
            self._check(self._values, MAX_JSON_VALUES, "values")

    def _check(self, count: int, limit: int, what: str) -> None:
        if count > limit:
            raise AnswerTooLarge(f"it has more than {limit} {what}", retryable=not self.reads_file)


_active: ContextVar[Call | None] = ContextVar("active_call", default=None)


def active_call() -> Call | None:
    return _active.get()


@contextmanager
def limited_by(call: Call) -> Iterator[None]:
    """Hold everything that this thread sends and receives in the block to the call's limits."""
    before = _active.set(call)
    try:
        yield
    finally:
        _active.reset(before)
