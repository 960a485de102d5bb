"""The text of an answer while its tokens arrive: no piece splits a character, and no stop string gets out."""

from collections.abc import Callable, Sequence
from typing import Any

BROKEN = "\ufffd"  # what a decoder gives for bytes that are no character (yet)
MOST_TOKENS_OF_A_CHARACTER = 8  # four bytes are four tokens at most, and the first of them may end another character


class Text:
    """The pieces of one answer. An entry, such as a log probability, is given out with the text of its token."""

    def __init__(self, decode: Callable[[list[int]], str], stops: Sequence[str] = ()):
        self._decode = decode
        self._stops = stops
        self._tokens: list[
            int
        ] = []  # the last ones decoded, for a token's text depends on the one before; and new ones
        self._decoded = 0  # of `_tokens`
        self._held = ""  # decoded, but perhaps the beginning of a stop string
        self._entries: list[tuple[int, Any]] = []  # with the place in `_held` where each token's text ends
        self.stopped = False

    def add(self, token: int, entry: Any = None) -> tuple[str, list[Any]]:
        """What can be given out now. After a stop string, `stopped` is true."""
        self._tokens.append(token)
        self._held += self._new_text(is_last=False)
        self._entries.append((len(self._held), entry))
        begin = min((at for at in map(self._held.find, self._stops) if at >= 0), default=None)
        if begin is not None:
            self.stopped = True
            return self._released(begin)
        return self._released(len(self._held) - self._doubtful())

    def finish(self) -> tuple[str, list[Any]]:
        """The rest: nothing follows that could make it a stop string, or a character."""
        self._held += self._new_text(is_last=True)
        return self._released(len(self._held))

    def _new_text(self, *, is_last: bool) -> str:
        before = self._decode(self._tokens[: self._decoded])
        now = self._decode(self._tokens)
        is_part = now.endswith(BROKEN) and len(self._tokens) - self._decoded < MOST_TOKENS_OF_A_CHARACTER
        if is_part and not is_last:
            return ""
        self._tokens = self._tokens[self._decoded :]
        self._decoded = len(self._tokens)
        return now[len(before) :]

    def _doubtful(self) -> int:
        """The length of the longest end of the held text with which a stop string begins."""
        longest = min(max(map(len, self._stops), default=1) - 1, len(self._held))
        return next((n for n in range(longest, 0, -1) if self._begins_a_stop(self._held[-n:])), 0)

    def _begins_a_stop(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._stops)

    def _released(self, end: int) -> tuple[str, list[Any]]:
        piece, self._held = self._held[:end], self._held[end:]
        done = [entry for place, entry in self._entries if place <= end and entry is not None]
        self._entries = [(place - end, entry) for place, entry in self._entries if place > end]
        return piece, done
