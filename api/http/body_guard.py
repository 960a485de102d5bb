"""Refuses requests that no route could handle: a body that arrives too slowly, JSON nested too deep, NUL in a text."""

import re
import time
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from urllib.parse import unquote_to_bytes

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import envelope
from shared.json_fields import MAX_DEPTH

METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}
MIN_BYTES_PER_SECOND = 1000

_ESCAPED_BACKSLASH = b"\\\\"
_SURROGATE_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_NUL_OR_SURROGATE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})")
_ESCAPED_QUOTE = b'\\"'
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CURLY_TO_SQUARE = bytes.maketrans(b"{}", b"[]")


class RequestRefused(HTTPException):
    """An error that a middleware raises, with the `code` of its envelope."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(status, message)
        self.code = code


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than `MAX_DEPTH`, found without parsing: each round removes the innermost pairs."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    # Without escapes each quote begins or ends a string, so every other piece is one. A pattern takes longer, if there
    # are many strings up to five times.
    pieces = body.replace(_ESCAPED_BACKSLASH, b"").replace(_ESCAPED_QUOTE, b"").split(b'"')
    brackets = b"".join(pieces[::2]).translate(_CURLY_TO_SQUARE, _ALL_BUT_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def find_unstorable(body: bytes) -> int | None:
    """Return the position of the first NUL or lone surrogate in JSON, or None. Postgres stores neither."""
    if b"\\u" not in body:
        return None
    # Replacements keep the length, so that the position found is the position in the body.
    without_backslashes = body.replace(_ESCAPED_BACKSLASH, b"__")
    found = _NUL_OR_SURROGATE.search(_SURROGATE_PAIR.sub(b"_" * 12, without_backslashes))
    return found.start() if found else None


def is_text(part: bytes) -> bool:
    """Whether a path or a query string decodes to UTF-8 without a NUL."""
    if part.isascii() and b"%" not in part:
        return b"\0" not in part
    try:
        return "\0" not in unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False


class BodyGuardMiddleware:
    """Answers 400 to a URL that is not text, and 408 or 400 to a body that is too slow, too deep or cannot be stored.

    For paths in `unparsed`, in which `*` stands for an id, only the speed of the body is checked: files are stored as
    they are, and a chat is parsed only at its top level.
    """

    def __init__(self, app: ASGIApp, timeout: timedelta, unparsed: Iterable[str]) -> None:
        self.app = app
        self.timeout_seconds = timeout.total_seconds()
        self.unparsed = re.compile("|".join(path.replace("*", "[^/]+") for path in unparsed))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not (is_text(scope.get("raw_path") or b"") and is_text(scope["query_string"])):
            sentence = "The URL is not UTF-8 after percent-decoding, or contains a NUL"
            await envelope(400, sentence, "invalid_text")(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            if scope["method"] in METHODS_WITH_BODY:
                is_json = "json" in headers.get("content-type", "") and not self.unparsed.fullmatch(scope["path"])
                receive = _GuardedBody(receive, self.timeout_seconds, is_json).receive
            else:
                receive = partial(_receive_unread, receive)
        await self.app(scope, receive, send)


async def _receive_unread(receive: Receive) -> Message:
    """Receive a body that no route reads. After the answer has begun, one that is too large can only be cut off."""
    try:
        return await receive()
    except HTTPException:
        return {"type": "http.disconnect"}


class _GuardedBody:
    """Receives a body chunk by chunk and counts only the time spent waiting for the client, not our own work."""

    def __init__(self, receive: Receive, timeout_seconds: float, is_json: bool) -> None:
        self._receive = receive
        self._timeout_seconds = timeout_seconds
        self._waited_seconds = 0.0
        self._recent_bytes = 0  # received while `_waited_seconds` was counted
        self._chunks: list[bytes] | None = [] if is_json else None
        self._is_complete = False

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        message = await self._receive_in_time()
        chunk: bytes = message.get("body", b"")
        if self._chunks is not None:
            self._chunks.append(chunk)
        if not message.get("more_body", False):
            self._is_complete = True
            if self._chunks is not None:
                _check_json(b"".join(self._chunks))
        return message

    async def _receive_in_time(self) -> Message:
        began = time.monotonic()
        message: Message | None = None
        with anyio.move_on_after(self._timeout_seconds - self._waited_seconds):
            message = await self._receive()
        if message is None:
            sentence = "The body arrived too slowly, or stopped arriving: send the request again"
            raise RequestRefused(408, sentence, "request_timeout")
        self._waited_seconds += time.monotonic() - began
        self._recent_bytes += len(message.get("body", b""))
        if self._recent_bytes >= MIN_BYTES_PER_SECOND * self._timeout_seconds:
            self._waited_seconds, self._recent_bytes = 0.0, 0
        return message


def _check_json(body: bytes) -> None:
    if is_too_deep(body):
        raise RequestRefused(400, f"The body is nested deeper than {MAX_DEPTH} levels", "invalid_json")
    if (position := find_unstorable(body)) is not None:
        sentence = f"The body contains a NUL or half of a surrogate pair at byte {position}: such text cannot be stored"
        raise RequestRefused(400, sentence, "invalid_text")
