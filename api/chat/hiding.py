"""Has a stream say what it used, where that is to be paid, and keeps it from a caller who has not asked for it."""

from typing import Any

import msgspec

MAX_LINE_BYTES = 64 << 10  # what only says what was used is shorter
_PREFIX = b"data:"


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw]
    usage: dict[str, msgspec.Raw]


def asking_for_usage(body: bytes) -> bytes | None:
    """Return the body with `include_usage`; None if it is no stream's, or has it already."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if bytes(fields.get("stream", b"null")) in (b"null", b"false"):
        return None
    options: Any = msgspec.json.decode(fields.get("stream_options", b"null")) or {}
    if not isinstance(options, dict) or options.get("include_usage") is True:
        return None
    return msgspec.json.encode({**fields, "stream_options": {**options, "include_usage": True}})


class UsageHider:
    """Takes a stream of server-sent events in pieces. Only a line that has not ended is held back."""

    def __init__(self) -> None:
        self._held = b""
        self._was_hidden = False

    def feed(self, piece: bytes) -> bytes:
        """Return what can be passed on."""
        *lines, self._held = (self._held + piece).split(b"\n")
        shown = [line + b"\n" for line in lines if self._is_shown(line)]
        if len(self._held) > MAX_LINE_BYTES:
            shown.append(self.end())
        return b"".join(shown)

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _is_shown(self, line: bytes) -> bool:
        """An event ends with an empty line, which goes with it."""
        if self._was_hidden and not line.strip():
            self._was_hidden = False
            return False
        self._was_hidden = _says_usage_alone(line)
        return not self._was_hidden


def _says_usage_alone(line: bytes) -> bool:
    if not line.startswith(_PREFIX) or b'"usage"' not in line:
        return False
    try:
        return not msgspec.json.decode(line[len(_PREFIX) :], type=_Chunk).choices
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
