"""What comes in is judged before anybody reads it: the pace of a body, its depth, and the characters of it all."""

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

_READ = {"POST", "PUT", "PATCH"}
PACE = 1000  # bytes a second, the slowest that is waited for

_ESCAPED_BACKSLASH = b"\\\\"
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_NUL_OR_HALF = re.compile(rb"\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})")
# Possessive, and open at the end: a text that nobody closes must not be tried in all its parts.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


class Refused(HTTPException):
    """A refusal from below the routes, with the `code` of its envelope."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(status, message)
        self.code = code


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than `MAX_DEPTH`: with every round the innermost brackets of it vanish."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _TEXT.sub(b"", body).translate(_ONE_KIND, _ALL_BUT_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def find_unstorable(body: bytes) -> int | None:
    """Where JSON writes a NUL, or half of a surrogate pair: neither can be kept as text."""
    if b"\\u" not in body:
        return None
    without_backslashes = body.replace(_ESCAPED_BACKSLASH, b"__")
    found = _NUL_OR_HALF.search(_PAIR.sub(b"_" * 12, without_backslashes))
    return found.start() if found else None


def is_text(part: bytes) -> bool:
    """Whether a path or a query says something in UTF-8, without a NUL."""
    if part.isascii() and b"%" not in part:
        return b"\0" not in part
    try:
        return "\0" not in unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return False


class IncomingMiddleware:
    """Refuses an address that is no text; a body that stops coming, or that no reader should be given.

    At the addresses of `kept_whole`, where a `*` stands for an id, only the pace of a body is judged: files are taken
    in as they are, and of a chat only the top level is read.
    """

    def __init__(self, app: ASGIApp, patience: timedelta, kept_whole: Iterable[str]) -> None:
        self.app = app
        self.patience = patience.total_seconds()
        self.kept_whole = re.compile("|".join(path.replace("*", "[^/]+") for path in kept_whole))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if not (is_text(scope.get("raw_path") or b"") and is_text(scope["query_string"])):
            sentence = "The address is not UTF-8 once its % signs are resolved, or holds a NUL"
            await envelope(400, sentence, "invalid_text")(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            if scope["method"] in _READ:
                is_json = "json" in headers.get("content-type", "") and not self.kept_whole.fullmatch(scope["path"])
                receive = _Body(receive, self.patience, is_json).receive
            else:
                receive = partial(_pass_over, receive)
        await self.app(scope, receive, send)


async def _pass_over(receive: Receive) -> Message:
    """Of a body that nobody reads there may be too much when the answer has begun, too late for a refusal."""
    try:
        return await receive()
    except HTTPException:
        return {"type": "http.disconnect"}


class _Body:
    """A body on its way in. The time that we take ourselves does not count against whoever sends it."""

    def __init__(self, receive: Receive, patience: float, is_json: bool) -> None:
        self._receive = receive
        self._patience = patience
        self._waited = 0.0
        self._lately = 0  # bytes since the waiting began to count
        self._chunks: list[bytes] | None = [] if is_json else None
        self._is_complete = False

    async def receive(self) -> Message:
        if self._is_complete:
            return await self._receive()
        message = await self._in_time()
        chunk: bytes = message.get("body", b"")
        if self._chunks is not None:
            self._chunks.append(chunk)
        if not message.get("more_body", False):
            self._is_complete = True
            if self._chunks is not None:
                _judge(b"".join(self._chunks))
        return message

    async def _in_time(self) -> Message:
        began = time.monotonic()
        message: Message | None = None
        with anyio.move_on_after(self._patience - self._waited):
            message = await self._receive()
        if message is None:
            raise Refused(408, "The body came too slowly, or stopped coming: send the request again", "request_timeout")
        self._waited += time.monotonic() - began
        self._lately += len(message.get("body", b""))
        if self._lately >= PACE * self._patience:
            self._waited, self._lately = 0.0, 0
        return message


def _judge(body: bytes) -> None:
    if is_too_deep(body):
        raise Refused(400, f"The body is nested deeper than {MAX_DEPTH} levels", "invalid_json")
    if (place := find_unstorable(body)) is not None:
        sentence = f"The body holds, at byte {place}, a text that cannot be stored: a NUL or half of a surrogate pair"
        raise Refused(400, sentence, "invalid_text")
