"""A base that `python -m trainer.serving` answers with: a request for each connection of its Unix socket."""

import asyncio
import itertools
import json
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from pathlib import Path

from trainer.server.serving.command import Command
from trainer.server.serving.lines import Line, Unavailable
from trainer.server.serving.process import BaseProcess

MOST_BYTES_OF_LINE = 16 * 2**20

_sockets = itertools.count()  # a name is never used again: a process that leaves removes its socket


class ServedBase(BaseProcess):
    def __init__(self, command: Command, base: str) -> None:
        super().__init__(command, base)
        self._command = command
        self._socket = Path()

    async def _start(self) -> Process:
        self._socket = self._command.sockets / f"{next(_sockets)}.sock"
        return await self._command.start(self._base, self._socket)

    async def ask(self, request: Line) -> AsyncGenerator[Line]:
        """Raises Unavailable."""
        has_begun = False
        for _ in range(2):
            reader, writer = await self._connect()
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                await writer.drain()
                while (line := await reader.readline()).endswith(b"\n"):
                    has_begun = True
                    answer: Line = json.loads(line)
                    yield answer
                    if "text" not in answer:
                        self._has_answered()
                        return
            except ConnectionError:
                pass
            finally:
                writer.close()
            # One that stays is not killed for it: it may be answering others.
            if has_begun or await self._has_left() != 0:
                break  # else it left, since nobody had asked for long, just when this request came
        raise Unavailable(500, "serving_ended", "The process that answers for this model ended. Try again.")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(2):
            await self._loaded()
            try:
                return await asyncio.open_unix_connection(self._socket, limit=MOST_BYTES_OF_LINE)
            except (ConnectionRefusedError, FileNotFoundError):
                await self._exit_code()  # it was leaving
            except OSError:
                break
        raise Unavailable(429, "too_many_waiting", "Too many requests wait for this model. Try again.", retry_after=2)
