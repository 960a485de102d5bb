"""A proxy in front of the apis, as nginx is by default, or as one that also asks each api whether it is ready."""

import asyncio
from collections import Counter
from contextlib import suppress

from cli.processes.ports import LOCALHOST

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ASK_EVERY_SECONDS = 0.2
END_OF_HEAD = b"\r\n\r\n"
PROBE = b"GET /readyz HTTP/1.1\r\nhost: api\r\n\r\n"


class Proxy:
    """Passes requests on to the apis in turn, over connections that it keeps.

    It sends a request to the other api where one cannot be connected to, and again where a connection was closed before
    a byte of the answer, unless the request may have changed something. If it is `asking`, it leaves out an api whose
    /readyz is not answered with 200.
    """

    def __init__(self, apis: list[int], *, asking: bool) -> None:
        self._apis = apis
        self._next = 0
        self._kept: dict[int, list[Connection]] = {port: [] for port in apis}
        self._ready = set(apis)
        self._asking = asking
        self.retried: Counter[str] = Counter()

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._client, LOCALHOST, port)
        probing = [self._probe(api) for api in self._apis] if self._asking else []
        await asyncio.gather(server.serve_forever(), *probing)

    async def _probe(self, port: int) -> None:
        while True:
            status = b""
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(LOCALHOST, port)
                try:
                    writer.write(PROBE)
                    status = (await reader.readuntil(END_OF_HEAD)).split()[1]
                finally:
                    writer.close()
            if status == b"200":
                self._ready.add(port)
            else:
                self._ready.discard(port)
            await asyncio.sleep(ASK_EVERY_SECONDS)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(END_OF_HEAD)
                await self._answer(head + await reader.readexactly(_length(head)), writer)
        writer.close()

    async def _answer(self, request: bytes, client: asyncio.StreamWriter) -> None:
        for port in self._turns():
            self._kept[port] = [each for each in self._kept[port] if _is_open(each)]
            is_kept = bool(self._kept[port])
            try:
                connection = self._kept[port].pop() if is_kept else await asyncio.open_connection(LOCALHOST, port)
            except OSError:
                self.retried["not connected"] += 1
                continue
            try:
                head = await _ask(connection, request)
            except (OSError, asyncio.IncompleteReadError) as error:
                connection[1].close()
                if not request.startswith(b"GET ") or (
                    isinstance(error, asyncio.IncompleteReadError) and error.partial
                ):
                    _fail(client, f"{request.split(b' ')[0].decode()}, {'kept' if is_kept else 'new'} connection")
                    return
                self.retried["closed"] += 1
                continue
            await self._pass_on(port, connection, head, client)
            return
        _fail(client, "no api")

    def _turns(self) -> list[int]:
        """The apis that a request is sent to until one answers: twice each, whatever other requests do meanwhile."""
        self._next += 1
        ready = [port for port in self._apis if port in self._ready] or self._apis
        return [ready[(self._next + number) % len(ready)] for number in range(2 * len(self._apis))]

    async def _pass_on(self, port: int, connection: Connection, head: bytes, client: asyncio.StreamWriter) -> None:
        reader, writer = connection
        try:
            client.write(head)
            if b"transfer-encoding: chunked" in head.lower():
                await _copy_chunks(reader, client)
            else:
                client.write(await reader.readexactly(_length(head)))
            await client.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            raise
        if b"connection: close" in head.lower():
            writer.close()
        else:
            self._kept[port].append(connection)


def _is_open(connection: Connection) -> bool:
    """Whether the api has neither closed nor reset it."""
    reader, writer = connection
    return not reader.at_eof() and not writer.is_closing()


async def _ask(connection: Connection, request: bytes) -> bytes:
    reader, writer = connection
    writer.write(request)
    await writer.drain()
    return await reader.readuntil(END_OF_HEAD)


async def _copy_chunks(reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
    size = None
    while size != 0:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        client.write(line + await reader.readexactly(size + 2))
        await client.drain()


def _length(head: bytes) -> int:
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(lengths[0]) if lengths else 0


def _fail(client: asyncio.StreamWriter, why: str) -> None:
    body = why.encode()
    client.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
