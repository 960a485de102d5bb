"""Around every request: an id in its answer and on every line of the log, one line at its end, no trace outside."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import envelope, too_large
from shared.db.ids import new_id

log = structlog.get_logger(__name__)
_USABLE = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_QUIET = {"/livez", "/readyz"}
_INSTEAD = {  # by the end of the address
    "datasets": ": upload the examples as a file to /v1/files, and name it here as file_id",
    "files": ": send the file in parts, to /v1/uploads",
    "parts": ": send smaller parts",
}


def request_id(headers: Headers) -> str:
    """The caller's own, or a new one."""
    given = headers.get("x-request-id", "")
    return given if _USABLE.fullmatch(given) else new_id("req_")


def before_the_end(finish: Callable[[], Awaitable[None]], send: Send) -> Send:
    """Of the app's own lifespan: what a middleware has to finish before the process ends."""

    async def send_after(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            await finish()
        await send(message)

    return send_after


class RequestMiddleware:
    """Takes a caller's `x-request-id` over, or makes one; answers what nobody foresaw with a 500 that names it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        id = request_id(headers)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=id)
        started, status = time.perf_counter(), 0
        unread = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

        async def receive_to_the_end() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer["x-request-id"] = id
                if unread:  # refused before its body was read: nothing more of it is taken
                    answer["connection"] = "close"
            await send(message)

        try:
            await self.app(scope, receive_to_the_end, send_with_id)
        except Exception:
            log.exception("a request failed in a way that nobody foresaw")
            if status:
                raise
            sentence = f"Something went wrong on our side; tell your operator the request id {id}"
            await envelope(500, sentence, "internal_error", type="server_error")(scope, receive, send_with_id)
        finally:
            if scope["path"] not in _QUIET:
                duration = round((time.perf_counter() - started) * 1000, 1)
                log.info("request", method=scope["method"], path=scope["path"], status=status, duration_ms=duration)


class BodyLimitMiddleware:
    """Refuses a body larger than its address takes: by what is declared, or as it comes.

    Addresses in `others` have limits of their own; in them a `*` stands for an id.
    FastAPI's own limit answers in plain text, without an id, also where the key is what is wrong.
    """

    def __init__(self, app: ASGIApp, limit: int, others: Mapping[str, int]) -> None:
        self.app = app
        self.limit = limit
        self.others = [(re.compile(path.replace("*", "[^/]+")), allowed) for path, allowed in others.items()]

    def _limit(self, path: str) -> int:
        return next((allowed for address, allowed in self.others if address.fullmatch(path)), self.limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit, received = self._limit(scope["path"]), 0
        declared = Headers(scope=scope).get("content-length", "")

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, _sentence(scope["path"], limit))
            return message

        if declared.isdecimal() and int(declared[:20]) > limit:
            await too_large(_sentence(scope["path"], limit))(scope, receive, send)
        else:
            await self.app(scope, receive_counted, send)


def _sentence(path: str, limit: int) -> str:
    instead = _INSTEAD.get(path.rpartition("/")[2], "")
    return f"The body is larger than {limit} bytes, the most that this address takes{instead}"
