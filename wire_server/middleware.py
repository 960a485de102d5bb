"""Runs before every request: checks the key, saves the state before the answer, and sets OpenAI's headers."""

import logging
import sqlite3
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wire_server.errors import ApiError
from wire_server.records import new_id
from wire_server.state import State

VERSION = "2020-10-01"
"""The value of the header `openai-version`, which OpenAI has not changed since."""

NOT_KEPT = ApiError(
    500,
    "What has changed cannot be written to the disk; the server's log says why. Look whether it was done before you "
    "try again.",
    type="server_error",
)

log = logging.getLogger(__name__)


class WireMiddleware:
    """The outermost ASGI layer, so that it also sees requests that match no route."""

    guarded: tuple[str, ...] = ("/v1/",)
    """The paths that need the key."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._next(scope)(scope, receive, self._answering(scope, receive, send))

    def _next(self, scope: Scope) -> ASGIApp:
        """The app that answers: the real one, or a refusal."""
        if not scope.get("path", "").startswith(self.guarded):
            return self.app
        return self._refuse(scope) or self.answering(scope)

    def answering(self, scope: Scope) -> ASGIApp:
        """What answers a request that has the key."""
        return self.app

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Logs and swallows an error that was answered with 500 already; uvicorn would also close the connection."""
        try:
            await self._app(scope, receive, send)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])

    def _refuse(self, scope: Scope) -> Response | None:
        """A 401 answer, or None for the right key. Runs before the body is read."""
        headers = Headers(scope=scope)
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if "authorization" not in headers:  # Azure's clients send the key in this header
            scheme, key = "bearer", headers.get("api-key", "")
        if scheme.lower() != "bearer" or not key:
            return ApiError(401, "You sent no API key. Send it in the header Authorization: Bearer KEY.").response()
        if self.state.knows_key(key.strip()):
            return None
        shown = f"{key[:3]}***{key[-4:]}" if len(key) > 12 else "***"
        return ApiError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key").response()

    def _answering(self, scope: Scope, receive: Receive, send: Send) -> Send:
        """Sends an answer once what it says is kept, and an error instead of it if that cannot be kept."""
        headed, is_replaced = self._with_headers(send), False

        async def send_what_is_kept(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start":
                try:
                    self.state.save()
                except (OSError, sqlite3.Error) as error:
                    is_replaced = True
                    log.error("%s %s: what has changed cannot be kept: %s", scope["method"], scope["path"], error)
                    await NOT_KEPT.response()(scope, receive, headed)
            if not is_replaced:
                await headed(message)

        return send_what_is_kept

    def _with_headers(self, send: Send) -> Send:
        started, request_id = time.perf_counter(), new_id("req_", 32)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("x-request-id", request_id)
                headers["openai-organization"] = self.state.settings.organization_id
                headers["openai-processing-ms"] = str(int((time.perf_counter() - started) * 1000))
                headers["openai-version"] = VERSION
            await send(message)

        return send_with_headers
