"""Chats are answered by one process for each base, of which so many are loaded at most, or by vLLM at an address."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from trainer.server.serving.builtin import ServedBase
from trainer.server.serving.command import Command
from trainer.server.serving.lines import Line, NoMemory, Unavailable
from trainer.server.serving.process import BaseProcess
from trainer.server.serving.vllm.chats import Chats
from trainer.server.serving.vllm.process import VllmCommand, VllmProcess
from trainer.server.settings import Settings, threads, vllm_addresses


class Serving:
    def __init__(self, python: Path, settings: Settings) -> None:
        self._most = max(1, settings.max_bases_loaded)
        self._sockets = tempfile.TemporaryDirectory(prefix="tunery-")  # a socket's path has at most 104 bytes
        self._command = Command(
            python=python,
            sockets=Path(self._sockets.name),
            logs=settings.path / "serving",
            threads=threads(settings, len(settings.slots())),
            devices=settings.serving_slots(),
        )
        self._vllm = VllmCommand(
            words=settings.vllm_command, logs=settings.path / "serving", max_loras=settings.vllm_max_loras
        )
        self._addresses = {
            base: Chats(url, settings.vllm_api_key, base, settings.vllm_max_loras)
            for base, url in vllm_addresses(settings).items()
        }
        self._bases: dict[str, BaseProcess] = {}  # the one used last at the end
        self._stopping: set[asyncio.Task[None]] = set()

    async def reply(
        self, base: str, adapter: str | None, request: Line, name: str | None = None
    ) -> AsyncGenerator[Line]:
        """The lines of an answer: texts, then one `end` or `error`. Closing the iterator cancels the request.

        `base` and `adapter` are folders; `name` is the base's, unless its weights were trained as a whole. An error
        that passes by itself has `retry_after`, in seconds.
        """
        asked, address = {"adapter": adapter, **request}, self._addresses.get(name or "")
        try:
            async with aclosing(address.ask(asked) if address else self._lines(base, asked)) as lines:
                async for line in lines:
                    yield line
        except Unavailable as unavailable:
            yield unavailable.line

    async def stop(self) -> None:
        for name in list(self._bases):
            self._stop_base(name)
        await asyncio.gather(*self._stopping, *(one.stop() for one in self._addresses.values()))
        self._sockets.cleanup()

    async def _lines(self, base: str, request: Line) -> AsyncGenerator[Line]:
        """Raises Unavailable."""
        try:
            async with aclosing(self._asked(base, request)) as lines:
                async for line in lines:
                    yield line
        except NoMemory:  # which comes before the first line
            if not await self._stop_idle():
                raise
            async with aclosing(self._asked(base, request)) as lines:
                async for line in lines:
                    yield line

    async def _asked(self, base: str, request: Line) -> AsyncGenerator[Line]:
        served = self._served(base)
        try:
            if not served.is_running:
                await self._wait_for_stops()  # it needs the memory that they give back
            async with aclosing(served.ask(request)) as lines:
                async for line in lines:
                    yield line
        finally:
            served.users -= 1

    def _served(self, name: str) -> BaseProcess:
        """The base, which now counts one user more."""
        served = self._bases.pop(name, None)
        if served is None:
            self._make_room()
            served = VllmProcess(self._vllm, name) if self._vllm.words else ServedBase(self._command, name)
        self._bases[name] = served
        served.users += 1
        return served

    def _make_room(self) -> None:
        while len(self._bases) >= self._most:
            idle = next((name for name, served in self._bases.items() if served.is_idle), None)
            if idle is None:
                sentence = f"The trainer answers with {self._most} other base models now, and has room for no more."
                raise Unavailable(429, "bases_in_use", f"{sentence} Try again later.", retry_after=5)
            self._stop_base(idle)

    async def _stop_idle(self) -> bool:
        """Whether memory was given back: by bases that nobody uses now, although there would be room for them."""
        for name in [name for name, served in self._bases.items() if served.is_idle and served.is_running]:
            self._stop_base(name)
        if not self._stopping:
            return False
        await self._wait_for_stops()
        for served in self._bases.values():
            served.forget_pause()
        return True

    def _stop_base(self, name: str) -> None:
        """In a task of its own: nobody else waits for it, and a client that leaves does not cancel it."""
        stopping = asyncio.create_task(self._bases.pop(name).stop())
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def _wait_for_stops(self) -> None:
        if self._stopping:
            await asyncio.wait(self._stopping)
