"""Finds in an answer what it says it has used, while it is passed on: only its end is kept."""

import json
import re
from collections import deque
from collections.abc import Sequence

import msgspec

from shared.inference.recording import Used

KEPT_BYTES = 32 << 10  # of the end of an answer, where every provider says it
MAX_TOKENS = 10**9  # of one answer; what is more is no count
_MAX_TRIES = 20
_MAX_USAGE_BYTES = 4 << 10
_KEY = re.compile(rb'"usage"\s*:\s*\{')  # in a text, the quotes would be escaped
_decode = json.JSONDecoder().raw_decode
_BEFORE, _BEFORE_IN_RESPONSE = b"{", b'{"response":{'  # with it, the rest of the text is complete JSON


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    """In the words of chats and completions, or of responses."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    response: _Answer | None = None
    usage: _Usage | None = None


class UsageReader:
    """Takes an answer in pieces: one as a whole, or a stream of server-sent events."""

    def __init__(self, *, is_stream: bool) -> None:
        self._end = bytearray()
        self._is_stream = is_stream
        self._earlier: Used | None = None

    def feed(self, piece: bytes) -> None:
        self._end += piece
        if len(self._end) > 2 * KEPT_BYTES:
            self._earlier = self._before_the_end()
            del self._end[:-KEPT_BYTES]

    def _before_the_end(self) -> Used | None:
        """The last count there, of which nobody can say any more what it is in."""
        end = max(0, len(self._end) - KEPT_BYTES)
        keys = deque(_KEY.finditer(self._end, 0, end + _MAX_USAGE_BYTES), maxlen=_MAX_TRIES)
        for start in (key.end() - 1 for key in reversed(keys) if key.start() < end):
            text = self._end[start : start + _MAX_USAGE_BYTES].decode(errors="replace")
            if (used := _used_in(text)) is not None:
                return used
        return self._earlier

    def found(self) -> Used | None:
        """The last count in the answer, of which as much has come as is there; None if it has none."""
        return self._at_the_end() or self._before_the_end()

    def _at_the_end(self) -> Used | None:
        end = bytes(self._end[-KEPT_BYTES:])
        befores = (_BEFORE, _BEFORE_IN_RESPONSE) if self._is_stream else (_BEFORE,)
        for text in reversed(end.splitlines()) if self._is_stream else [end]:
            for match in list(_KEY.finditer(text))[: -_MAX_TRIES - 1 : -1]:
                if (used := _used(text[match.start() :], befores)) is not None:
                    return used
        return None


def _used(rest: bytes, befores: Sequence[bytes]) -> Used | None:
    for before in befores:
        try:
            event = msgspec.json.decode(before + rest, type=_Event)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        usage = event.usage or (event.response.usage if event.response is not None else None)
        return _counted(usage) if usage is not None else None
    return None


def _used_in(text: str) -> Used | None:
    """What the object says with which a text begins."""
    try:
        return _counted(msgspec.convert(_decode(text)[0], _Usage))
    except (ValueError, RecursionError):  # msgspec's are ValueErrors
        return None


def _counted(usage: _Usage) -> Used | None:
    details = usage.prompt_tokens_details or usage.input_tokens_details
    given = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
    made = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
    counts = (given or 0, (details.cached_tokens if details is not None else 0) or 0, made or 0)
    if (given is None and made is None) or not all(0 <= each <= MAX_TOKENS for each in counts):
        return None
    return Used(1, *counts)
