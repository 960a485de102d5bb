"""Chats are answered by one process for each base, in the trainer's environment; at most so many bases are loaded."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from trainer.server.serving.process import Command, Line, ServedBase, Unavailable
from trainer.server.settings import Settings, threads


class Serving:
    def __init__(self, python: Path, settings: Settings) -> None:
        self._most = max(1, settings.max_bases_loaded)
        self._sockets = tempfile.TemporaryDirectory(prefix="tunery-")  # a socket's path has at most 104 bytes
        self._command = Command(
            python=python,
            sockets=Path(self._sockets.name),
            logs=settings.path / "serving",
            threads=threads(settings, len(settings.slots())),
        )
        self._bases: dict[str, ServedBase] = {}  # the one used last at the end
        self._choosing = asyncio.Lock()

    async def reply(self, base: str, adapter: str | None, request: Line) -> AsyncGenerator[Line]:
        """The lines of an answer: texts, then one `end` or `error`. Closing the iterator cancels the request.

        An error that passes by itself has `retry_after`, in seconds.
        """
        try:
            served = await self._served(base)
        except Unavailable as unavailable:
            yield unavailable.line
            return
        try:
            async with aclosing(served.ask({"adapter": adapter, **request})) as lines:
                async for line in lines:
                    yield line
        except Unavailable as unavailable:
            yield unavailable.line
        finally:
            served.users -= 1

    async def stop(self) -> None:
        async with self._choosing:
            await asyncio.gather(*(served.stop() for served in self._bases.values()))
            self._bases.clear()
            self._sockets.cleanup()

    async def _served(self, name: str) -> ServedBase:
        """The base, which now counts one user more."""
        async with self._choosing:
            served = self._bases.pop(name, None)
            if served is None:
                await self._make_room()
                served = ServedBase(self._command, name)
            self._bases[name] = served
            served.users += 1
            return served

    async def _make_room(self) -> None:
        while len(self._bases) >= self._most:
            idle = next((name for name, served in self._bases.items() if not served.users), None)
            if idle is None:
                sentence = f"The trainer answers with {self._most} other base models now, and has room for no more."
                raise Unavailable(429, "bases_in_use", f"{sentence} Try again later.", retry_after=5)
            await self._bases.pop(idle).stop()
