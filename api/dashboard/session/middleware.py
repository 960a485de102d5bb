"""Lets a session's cookie stand for its API key, and refuses requests that another site has made a browser send."""

from urllib.parse import quote, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.deps import CHOSEN_PROJECT
from api.dashboard.session import cookie
from api.http.errors import envelope
from api.http.pages import NEEDS_NO_SESSION, SIGN_IN, SIGN_IN_LINKS, is_page, is_static
from shared.settings import get_settings

MAX_WANTED = 2000  # characters of the address to which signing in leads
WANTED = "tunery.wanted"  # key in a request's ASGI scope: that address, as the form has sent it
_SAFE = {"GET", "HEAD", "OPTIONS"}


class SessionMiddleware:
    """Outside of all that decides by the `Authorization` header: that of a page is always its session's key."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope["path"]) or is_static(scope["path"]):
            await self.app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        scope["root_path"] = get_settings().root_path
        if path == SIGN_IN_LINKS:
            await self.app(scope, receive, send)
        elif scope["method"] not in _SAFE and not is_same_origin(headers):
            sentence = "This request came from another site: open the dashboard itself, and try again there"
            await envelope(403, sentence, "cross_site_request")(scope, receive, send)
        elif session := cookie.opened(cookie_parser(headers.get("cookie", "")).get(cookie.NAME)):
            _authorize(scope, session)
            await self.app(scope, receive, send)
        elif path in NEEDS_NO_SESSION:
            _set_authorization(scope, None)
            await self.app(scope, receive, send)
        elif "hx-request" in headers:
            sentence = "You are signed out: sign in again"
            await envelope(401, sentence, "signed_out")(scope, receive, send)
        else:
            await RedirectResponse(sign_in_address(wanted(Request(scope))), status_code=303)(scope, receive, send)


def _authorize(scope: Scope, session: cookie.Session) -> None:
    scope[cookie.SCOPE] = session
    scope[CHOSEN_PROJECT] = session.project_id
    _set_authorization(scope, f"Bearer {session.secret}".encode())


def _set_authorization(scope: Scope, value: bytes | None) -> None:
    others = [each for each in scope["headers"] if each[0] != b"authorization"]
    scope["headers"] = [*others, (b"authorization", value)] if value else others


def is_same_origin(headers: Headers) -> bool:
    """Whether a page of ours made the browser send this: by `Sec-Fetch-Site`, or else by `Origin`.

    Browsers send the first one only over TLS and to their own machine, the second one always.
    """
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host")


def wanted(request: Request) -> str:
    """Return the page that was asked for, without the prefix of the deployment: where signing in leads."""
    path, query = request.url.path.removeprefix(get_settings().root_path), request.url.query
    return f"{path}?{query}" if query else path


def sign_in_address(wanted: str, **query: str) -> str:
    """Return the address of the form, which leads to `wanted` unless that is too long for it."""
    known = query if len(wanted) > MAX_WANTED else {**query, "next": wanted}
    form = get_settings().root_path + SIGN_IN
    return f"{form}?{urlencode(known, safe='/', quote_via=quote)}" if known else form
