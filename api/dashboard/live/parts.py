"""Streams of a part of a page: drawn anew whenever what it shows has changed, and sent if it differs.

Each message is the whole part, so a browser that reconnects, after a hidden tab or a restart of the server, misses
nothing.
"""

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any

import anyio
import anyio.to_thread

from api.streams.polling import Cursor
from api.streams.wire import KEEP_ALIVE, KEEP_ALIVE_SECONDS

LEAST_SECONDS_BETWEEN = 1.0
DRAWN_AGAIN_AFTER = 60.0  # seconds without a change: what the browser cannot count by itself, such as a queue
DONE = b"event: done\ndata: \n\n"
_limiter = anyio.CapacityLimiter(4)  # parts are drawn beside other requests, not before them
Draw = Callable[[], tuple[str, bool]]
Blocks = AsyncIterator[bytes]


def message(html: str) -> bytes:
    """Return the event that htmx puts into the page."""
    return b"".join(b"data: " + line + b"\n" for line in html.encode().splitlines()) + b"\n"


def event(name: str) -> bytes:
    """Return an event that only tells the page's scripts that something is new."""
    return f"event: {name}\ndata: \n\n".encode()


async def drawn(cursor: Cursor[Any], draw: Draw, news: bytes = b"") -> Blocks:
    """Yield what `draw` returns now and after each change; `news` before each but the first.

    `draw` returns the part, and whether it will never change again. The stream then tells the browser to leave it.
    """
    last, quiet_for, announced = b"", 0.0, b""
    while not cursor.is_over:
        html, is_final = await anyio.to_thread.run_sync(draw, limiter=_limiter)
        digest = sha256(html.encode()).digest()
        if digest != last:
            yield announced + message(html)
        elif announced:
            yield announced
        last, announced = digest, b""
        if is_final:
            yield news + DONE
            return
        await anyio.sleep(LEAST_SECONDS_BETWEEN)
        quiet_for = 0.0
        while not cursor.is_over and cursor.take() == [] and quiet_for < DRAWN_AGAIN_AFTER:
            if await cursor.wait(KEEP_ALIVE_SECONDS):
                continue
            quiet_for += KEEP_ALIVE_SECONDS
            yield KEEP_ALIVE
        announced = news if quiet_for < DRAWN_AGAIN_AFTER else b""
