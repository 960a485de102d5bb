"""The Unix socket: a request for each connection, answered line by line."""

import asyncio
import json
import os
import traceback
from contextlib import suppress
from pathlib import Path

from trainer.serving.engine import Engine
from trainer.serving.prompt import Prompts
from trainer.serving.request import Refused, parse
from trainer.serving.row import Line, Row

MOST_BYTES = 64 * 2**20  # of a request
SECONDS_FOR_REQUEST = 60.0
_FAILED = Refused("serving_failed", "The serving process failed at this request. Its log says more.", status=500)


class Listener:
    def __init__(self, engine: Engine, prompts: Prompts):
        self._engine = engine
        self._prompts = prompts
        self._connections = 0
        self._changed_at = 0.0

    async def run(self, path: Path, idle_seconds: float) -> None:
        """Returns when nobody has asked for anything for so long."""
        loop = asyncio.get_running_loop()
        os.umask(0o077)  # the socket has no other protection than its permissions
        server = await asyncio.start_unix_server(self._serve, path, limit=MOST_BYTES)
        self._changed_at = loop.time()
        print("ready", flush=True)  # noqa: T201  this line is the protocol
        while (left := self._changed_at + idle_seconds - loop.time()) > 0 or self._connections:
            await asyncio.sleep(max(left, 0.2))
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            await self._answer(reader, writer)
        except ConnectionError:
            pass  # the client left
        except Exception as error:  # a mistake of ours with one request must not look like the end of the process
            traceback.print_exception(error)
            with suppress(ConnectionError):
                await _write(writer, _FAILED.line)
        finally:
            self._connections -= 1
            self._changed_at = asyncio.get_running_loop().time()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines: asyncio.Queue[Line | None] = asyncio.Queue()
        try:
            row = await self._row(reader, lines)
            self._engine.submit(row)
        except Refused as refused:
            await _write(writer, refused.line)
            return
        watch = asyncio.create_task(_watch(reader, row, lines))
        try:
            while (line := await lines.get()) is not None:
                await _write(writer, line)
                if "text" not in line:
                    return
        finally:
            row.cancelled = True
            watch.cancel()

    async def _row(self, reader: asyncio.StreamReader, lines: "asyncio.Queue[Line | None]") -> Row:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SECONDS_FOR_REQUEST):
                request = parse(await reader.readuntil(b"\n"))
        except asyncio.LimitOverrunError:
            raise Refused("invalid_value", f"A request has at most {MOST_BYTES} bytes.") from None
        except (asyncio.IncompleteReadError, TimeoutError):
            raise Refused("invalid_value", "The request did not end with a line break.") from None
        prompt, max_tokens = await asyncio.to_thread(self._prompts.encode, request)

        def deliver(line: Line) -> None:
            loop.call_soon_threadsafe(lines.put_nowait, line)

        return Row(request, prompt, max_tokens, deliver)


async def _watch(reader: asyncio.StreamReader, row: Row, lines: "asyncio.Queue[Line | None]") -> None:
    """Cancels the request when its client closes the connection."""
    with suppress(ConnectionError):
        while await reader.read(2**16):
            pass  # nothing is expected from it
    row.cancelled = True
    lines.put_nowait(None)


async def _write(writer: asyncio.StreamWriter, line: Line) -> None:
    writer.write(json.dumps(line).encode() + b"\n")
    await writer.drain()
