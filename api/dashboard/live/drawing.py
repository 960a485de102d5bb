"""Draws a part once for all streams that show the same, and one part at a time for each project.

A project may have a thousand streams. However many it has, it holds one thread at most, and others' pages move on.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

LEAST_SECONDS_BETWEEN = 1.0
Draw = Callable[[], tuple[str, bool]]
_limiter = anyio.CapacityLimiter(4)  # parts are drawn beside other requests, not before them


class Shown(NamedTuple):
    """What a stream shows: the same for all streams of a project with this address, for keys with the same rights."""

    project_id: str
    address: str
    is_admin: bool
    scopes: frozenset[str]


class Drawing:
    """The drawing that the streams of one `Shown` share."""

    def __init__(self, turn: asyncio.Lock) -> None:
        self._turn = turn
        self._next: asyncio.Task[tuple[str, bool]] | None = None
        self._may_begin_at = 0.0

    async def next(self, draw: Draw) -> tuple[str, bool]:
        """Return what is drawn from now on; nothing that was read before this call.

        One begins each second at most, and as long after the one before as that took: a heavy part draws half the time.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._draw(draw))
        return await asyncio.shield(self._next)  # whoever leaves does not take it from the others

    async def _draw(self, draw: Draw) -> tuple[str, bool]:
        while True:
            await anyio.sleep(max(0.0, self._may_begin_at - time.monotonic()))
            async with self._turn:
                begun = time.monotonic()
                if begun < self._may_begin_at:  # the drawing before ended while this one waited for the turn
                    continue
                self._next = None
                try:
                    return await anyio.to_thread.run_sync(draw, limiter=_limiter)
                finally:
                    ended = time.monotonic()
                    self._may_begin_at = max(begun + LEAST_SECONDS_BETWEEN, ended + (ended - begun))


_drawings: WeakValueDictionary[Shown, Drawing] = WeakValueDictionary()  # each as long as a stream shows it
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by project: held while a part is drawn


def of(shown: Shown) -> Drawing:
    """Return the drawing of all streams that show this. Each keeps it until the stream ends."""
    found = _drawings.get(shown)
    if found is None:
        turn = _turns.get(shown.project_id) or asyncio.Lock()
        _turns[shown.project_id] = turn
        found = _drawings[shown] = Drawing(turn)
    return found
