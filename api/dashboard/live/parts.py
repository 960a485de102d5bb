"""Streams of a part of a page: drawn anew whenever what it shows has changed, and sent if it differs.

Each message is the whole part, so a browser that reconnects, after a hidden tab or a restart of the server, misses
nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Protocol

from starlette.requests import Request

from api.dashboard.live import drawing
from api.dashboard.live.drawing import Draw, Shown
from api.dashboard.session import cookie
from api.streams.wire import KEEP_ALIVE, KEEP_ALIVE_SECONDS
from shared.projects.callers import Caller

DRAWN_AGAIN_AFTER = 60.0  # seconds without a change: what the browser cannot count by itself, such as a queue
DONE = b"event: done\ndata: \n\n"
Blocks = AsyncIterator[bytes]


class News(Protocol):
    """What a part follows: a cursor, or several as one."""

    @property
    def is_over(self) -> bool: ...

    def take(self) -> list[Any] | None: ...

    async def wait(self, seconds: float) -> bool: ...

    def end(self) -> None: ...


def message(html: str) -> bytes:
    """Return the event that htmx puts into the page."""
    return b"".join(b"data: " + line + b"\n" for line in html.encode().splitlines()) + b"\n"


def event(name: str) -> bytes:
    """Return an event that only tells the page's scripts that something is new."""
    return f"event: {name}\ndata: \n\n".encode()


async def drawn(request: Request, caller: Caller, cursor: News, draw: Draw, news: bytes = b"") -> Blocks:
    """Yield what `draw` returns now and after each change; `news` before each but the first. Ends with the session.

    `draw` returns the part, and whether it will never change again. The stream then tells the browser to leave it.
    Streams of the project with the same address share what is drawn, if their keys may see the same.
    """
    session: cookie.Session = request.scope[cookie.SCOPE]
    shared = drawing.of(Shown(caller.project_id, str(request.url), session.is_admin, caller.scopes))
    last, quiet_for, announced = b"", 0.0, b""
    with _ended_at(session.ends_at, cursor):
        while not cursor.is_over:
            html, is_final = await shared.next(draw)
            if cursor.is_over:
                return
            digest = sha256(html.encode()).digest()
            if digest != last:
                yield announced + message(html)
            elif announced:
                yield announced
            last = digest
            if is_final:
                yield news + DONE
                return
            quiet_for = 0.0
            while not cursor.is_over and cursor.take() == [] and quiet_for < DRAWN_AGAIN_AFTER:
                if await cursor.wait(KEEP_ALIVE_SECONDS):
                    continue
                quiet_for += KEEP_ALIVE_SECONDS
                yield KEEP_ALIVE
            announced = news if quiet_for < DRAWN_AGAIN_AFTER else b""


@contextmanager
def _ended_at(moment: int, cursor: News) -> Iterator[None]:
    """End the stream at this Unix second."""
    timer = asyncio.get_running_loop().call_later(moment - time.time(), cursor.end)
    try:
        yield
    finally:
        timer.cancel()
