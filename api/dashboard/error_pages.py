"""Makes pages of the errors that a page's request ends with: the API's envelope, in words for a person.

It stands outside of the rate limits and the authentication, so that their errors are pages too.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dashboard.rendering import page
from api.dashboard.session import cookie
from api.dashboard.session.middleware import WANTED, sign_in_address, wanted
from api.http.pages import DASHBOARD, SIGN_IN_LINKS, is_page
from shared.settings import get_settings

_NEXT_STEPS = {
    400: "Go back, change what the message names, and try again.",
    403: "Sign in with an API key that has this scope, or ask your operator for one.",
    404: "Check the address. What belongs to another project, or was deleted, is not shown.",
    429: "Wait a little, and load the page again.",
    503: "Load the page again in a moment. If this stays, tell your operator.",
}
_KEPT = ("retry-after", "x-request-id", "connection")


class ErrorPageMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope["path"]) or scope["path"] == SIGN_IN_LINKS:
            await self.app(scope, receive, send)
            return
        error: Message | None = None
        body = b""

        async def send_page(message: Message) -> None:
            nonlocal error, body
            if message["type"] == "http.response.start" and _is_envelope(message):
                error = message
            elif error is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await _answer(Request(scope), error, body)(scope, receive, send)

        await self.app(scope, receive, send_page)


def _is_envelope(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] >= 400 and kind.startswith("application/json")


def _answer(request: Request, start: Message, body: bytes) -> Response:
    status, detail = start["status"], json.loads(body)["error"]
    if status == 401:
        answer = _signed_out(request, detail)
    elif "hx-request" in request.headers:
        answer = page(request, "parts/message.html", status=status, message=detail["message"], kind="danger")
        answer.headers.update({"hx-retarget": "#messages", "hx-reswap": "innerHTML", "hx-reselect": "[role=alert]"})
    else:
        advice = _NEXT_STEPS.get(status, "Load the page again. If this stays, tell your operator the request id.")
        answer = page(request, "error.html", status=status, detail=detail, status_code=status, advice=advice)
    for name, value in Headers(raw=start["headers"]).items():
        if name in _KEPT:
            answer.headers[name] = value
    return answer


def _signed_out(request: Request, detail: dict[str, Any]) -> Response:
    """Let a person sign in again. The form keeps what was wrong with the key that was sent.

    A part of a page keeps the cookie: the page that is loaded next says that the session has ended.
    """
    if "text/event-stream" in request.headers.get("accept", "") or "hx-request" in request.headers:
        shown = urlsplit(request.headers.get("hx-current-url", ""))
        there = (f"{shown.path}?{shown.query}" if shown.query else shown.path).removeprefix(get_settings().root_path)
        return Response(status_code=401, headers={"hx-redirect": sign_in_address(there or DASHBOARD, reason="ended")})
    if request.method == "GET":
        answer: Response = RedirectResponse(sign_in_address(wanted(request), reason="ended"), status_code=303)
    else:
        answer = page(
            request, "sign_in.html", status=401, wanted=request.scope.get(WANTED, DASHBOARD), problem=detail["message"]
        )
    cookie.drop(answer)
    return answer
