"""Limits how many chats of one project and at one account run at once in this process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.errors import ChatLimitReached
from shared.settings import get_settings

RETRY_AFTER_SECONDS = 1


@dataclass
class _Running:
    """`waiting` are those for whom there was no slot, in the order in which they came."""

    count: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class ChatSlots:
    """The slots of each owner, an id of a project or a credential. Who waits too long gets a 429."""

    def __init__(self) -> None:
        self._running: defaultdict[str, _Running] = defaultdict(_Running)

    def count(self, owner: str) -> int:
        return self._running[owner].count if owner in self._running else 0

    @asynccontextmanager
    async def one(self, owner: str, limit: int, called: str) -> AsyncIterator[None]:
        """Hold a slot in the block. `called` is the owner in a sentence. Raises `ChatLimitReached`."""
        running = self._running[owner]
        if running.count >= limit:
            await self._wait(running, limit, called)
        else:
            running.count += 1
        try:
            yield
        finally:
            self._leave(owner, running)

    async def _wait(self, running: _Running, limit: int, called: str) -> None:
        """Return when another has left and given its slot. As many as there are slots may wait, and no more."""
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        max_wait = get_settings().chat.max_wait.total_seconds()
        if len(running.waiting) >= limit:
            raise _too_many(limit, called)
        running.waiting.append(slot)
        try:
            await asyncio.wait({slot}, timeout=max_wait)
        except asyncio.CancelledError:
            if slot.done():
                self._pass_on(running)
            raise
        finally:
            if not slot.done():
                running.waiting.remove(slot)
        if not slot.done():
            raise _too_many(limit, called)

    def _leave(self, owner: str, running: _Running) -> None:
        self._pass_on(running)
        if not running.count and not running.waiting:
            self._running.pop(owner, None)

    def _pass_on(self, running: _Running) -> None:
        if running.waiting:
            running.waiting.pop(0).set_result(None)
        else:
            running.count -= 1


def _too_many(limit: int, called: str) -> ChatLimitReached:
    sentence = f"{called} has {limit} chats under way, as many as it may have here at once: try again in a moment"
    return ChatLimitReached(sentence, retry_after=RETRY_AFTER_SECONDS)


slots = ChatSlots()
