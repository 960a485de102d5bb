"""Headers that keep browsers and proxies from doing more with an answer than read it once."""

import re
from base64 import b64encode
from hashlib import sha256

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class SecurityHeadersMiddleware:
    """Adds the headers to every answer, also to one that another middleware gives.

    Whatever an answer holds, a secret perhaps, no cache may store it, except files with an `etag`. A page brings a
    policy of its own.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("content-security-policy", NOTHING)
                if "etag" not in headers:
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def policy_of_page(html: bytes) -> str:
    """Return the policy of a page: scripts of this server and exactly the page's own, and no other server at all.

    Swagger's page sets styles in its elements, and has pictures inside its style sheet.
    """
    scripts = [b64encode(sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(html)]
    allowed = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in scripts)])
    return (
        f"{NOTHING}; script-src {allowed}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
    )
