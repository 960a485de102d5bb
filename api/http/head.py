"""Answers HEAD wherever GET is answered: with the status and headers of the GET, and without its body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

IS_HEAD = "tunery.is_head"  # key of True in the scope of such a request, for a route that would open something


class _Answered(Exception):
    """Ends the GET behind a HEAD at the first bytes of its body, so that a stream is not read on."""


class HeadMiddleware:
    """Passes a HEAD on as a GET. The routes, their scopes and rate limits see no difference."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                return
            await send({"type": "http.response.body", "body": b""})
            raise _Answered

        try:
            await self.app({**scope, "method": "GET", IS_HEAD: True}, receive, send_head)
        except* _Answered:
            pass
