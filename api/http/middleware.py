"""Gives every request an id, one log line and a clean 500 if it fails, and refuses bodies that are too large."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import envelope, too_large
from shared.db.ids import new_id
from shared.metrics.instruments import REQUEST_SECONDS, REQUESTS
from shared.telemetry import spans

log = structlog.get_logger(__name__)
_VALID_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_NOT_LOGGED = {"/livez", "/readyz", "/metrics"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_TOO_LARGE_ADVICE = {  # by the last segment of the path
    "datasets": ": upload the examples as a file to /v1/files, and name it here as file_id",
    "files": ": send the file in parts, to /v1/uploads",
    "parts": ": send smaller parts",
}


def request_id(headers: Headers) -> str:
    """Return the caller's `x-request-id` if it is safe to log, or a new id."""
    given = headers.get("x-request-id", "")
    return given if _VALID_REQUEST_ID.fullmatch(given) else new_id("req_")


def finish_on_shutdown(finish: Callable[[], Awaitable[None]], send: Send) -> Send:
    """Wrap `send` of the app's lifespan, so that a middleware's `finish` runs before the process ends."""

    async def send_after(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            await finish()
        await send(message)

    return send_after


class RequestMiddleware:
    """Sets `x-request-id` on every answer, and answers an unexpected exception with a 500 that names the id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] in _NOT_LOGGED:
            await self._answer(scope, receive, send)
        else:
            with spans.request(scope):
                await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        id = request_id(headers)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=id)
        started, status = time.perf_counter(), 0
        is_unread = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

        async def receive_noting_end() -> Message:
            nonlocal is_unread
            message = await receive()
            is_unread = message.get("more_body", False)
            return message

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answer = MutableHeaders(scope=message)
                answer["x-request-id"] = id
                if is_unread:  # refused early: the rest of the body would be read as the next request
                    answer["connection"] = "close"
            await send(message)

        try:
            await self.app(scope, receive_noting_end, send_with_id)
        except Exception:
            log.exception("a request failed unexpectedly")
            if status:  # the answer has begun: only the server can end it, by closing the connection
                raise
            sentence = f"Something went wrong on our side; contact your operator with the request id {id}"
            await envelope(500, sentence, "internal_error", type="server_error")(scope, receive, send_with_id)
        finally:
            if scope["path"] not in _NOT_LOGGED:
                _record(scope, status, time.perf_counter() - started)


def _record(scope: Scope, status: int, seconds: float) -> None:
    """Log a request that has been answered, and count it by the pattern of its path; one without a route has none."""
    method, route = scope["method"], getattr(scope.get("route"), "path", "")
    REQUESTS.labels(method if method in _METHODS else "other", route, status).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    if spans.is_on():
        _describe(scope, method if method in _METHODS else "_OTHER", route, status)
    log.info("request", method=method, path=scope["path"], status=status, duration_ms=round(seconds * 1000, 1))


def _describe(scope: Scope, method: str, route: str, status: int) -> None:
    """Say in the trace what the request was. Ids of a path are those of rows, unless the request was refused."""
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    bound = structlog.contextvars.get_contextvars()
    attributes |= {f"tunery.{name}": bound[name] for name in ("request_id", "project_id") if name in bound}
    if status < 400:
        ids = scope.get("path_params", {}).items()
        attributes |= {f"tunery.{name}": value for name, value in ids if name.endswith("_id")}
    error = str(status) if status >= 500 else None
    spans.describe(attributes, name=f"{method} {route}".rstrip(), error=error)


class BodyLimitMiddleware:
    """Answers 413 to a body larger than `max_bytes`, by its declared length or while it arrives.

    `by_path` has the limits of single paths, in which `*` stands for an id. FastAPI's own limit is not used: it answers
    in plain text, without a request id, and before the API key is checked.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, by_path: Mapping[str, int]) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.by_path = [(re.compile(path.replace("*", "[^/]+")), limit) for path, limit in by_path.items()]

    def _limit(self, path: str) -> int:
        return next((limit for pattern, limit in self.by_path if pattern.fullmatch(path)), self.max_bytes)

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
    advice = _TOO_LARGE_ADVICE.get(path.rpartition("/")[2], "")
    return f"The body is larger than {limit} bytes, the limit of this path{advice}"
