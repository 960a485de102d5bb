"""Closes a request's TCP connection without an answer; ASGI cannot, so uvicorn's protocol exposes its transport."""

import asyncio
from typing import Any

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT = "sandbox.transport"


class Connection(HttpToolsProtocol):
    """The HTTP protocol of uvicorn, which names its transport as an extension of each request's scope."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: Any = self.scope  # a TypedDict that knows uvicorn's own keys only
        scope["extensions"] = {TRANSPORT: self.transport}


async def cut(scope: Scope, receive: Receive) -> None:
    """Close the TCP connection at once and without an answer, and wait until the server has noticed."""
    transport: asyncio.Transport = scope["extensions"][TRANSPORT]  # uvloop's own only behaves like one
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
