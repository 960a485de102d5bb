"""What has come of a provider's answer, and what it is counted as, also if its caller hangs up before its end.

A stream is left where its caller leaves it, so that the provider makes no more; what it has used is estimated. Another
answer has been made by then: it is read to its end, which says what it used.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio.to_thread
import httpx2
from structlog import get_logger

from api.chat.usage import UsageReader
from shared.errors import ProviderUnavailable
from shared.inference.recording import Used
from shared.security.content_decoding import CannotDecode, Decoder
from shared.settings import get_settings

log = get_logger(__name__)
BREAKS = (httpx2.HTTPError, CannotDecode)  # what reading an answer raises that breaks off
READ_ON_SECONDS = 10
BYTES_PER_TOKEN = 4
_ENCODED = re.compile(rb"[A-Za-z0-9+/=_-]{1000,}")  # a picture or a sound, of which nobody here knows the tokens


class Received:
    """`pieces()` is the answer as it comes. An answer beyond `max_answer_bytes` raises `CannotDecode`."""

    def __init__(self, response: httpx2.Response, question: bytes, *, is_stream: bool) -> None:
        self._is_stream, self._question = is_stream, question
        self._is_read_on = response.status_code == 200 and not is_stream
        self._usage = UsageReader(is_stream=is_stream)
        self._bytes = self._events = 0
        self._has_ended = False
        self._coming = self._read(response.aiter_raw(), _decoder(response))
        self._next: asyncio.Future[bytes | None] | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self._piece()) is not None:
            yield piece

    async def _piece(self) -> bytes | None:
        """None at the end. Whoever is cancelled while waiting for one leaves it to the next who asks."""
        if not self._is_read_on:
            return await anext(self._coming, None)
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._coming, None))
        piece = await asyncio.shield(self._next)
        self._next = None
        return piece

    async def _read(self, received: AsyncIterator[bytes], decoder: Decoder) -> AsyncIterator[bytes]:
        most = get_settings().chat.max_answer_bytes
        async for data in received:
            for piece in decoder.decode(data):
                self._bytes += len(piece)
                if self._bytes > most:
                    raise CannotDecode(f"it has more than {most} bytes")
                self._events += piece.count(b"data:")
                self._usage.feed(piece)
                yield piece
        self._has_ended = True

    async def used(self) -> Used | None:
        """What it says, or an estimate if it was left before it could; None if it has ended and said nothing."""
        if self._is_read_on and not self._has_ended:
            await self._read_on()
        found = self._usage.found()
        return found if found is not None or self._has_ended else await self._estimate()

    async def _read_on(self) -> None:
        with suppress(TimeoutError, *BREAKS):
            async with asyncio.timeout(READ_ON_SECONDS):
                while await self._piece() is not None:
                    pass
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)

    async def _estimate(self) -> Used:
        """An event of a stream has about one token."""
        asked = await anyio.to_thread.run_sync(_tokens_of, self._question)
        made = self._events if self._is_stream else self._bytes // BYTES_PER_TOKEN
        return Used(1, asked, 0, made, estimated_requests=1)


def _tokens_of(question: bytes) -> int:
    encoded = sum(found.end() - found.start() for found in _ENCODED.finditer(question))
    return (len(question) - encoded) // BYTES_PER_TOKEN


def _decoder(response: httpx2.Response) -> Decoder:
    try:
        return Decoder(response.headers.get("content-encoding", ""))
    except CannotDecode as error:
        log.error("the provider's answer cannot be read", reason=str(error))
        raise ProviderUnavailable("The provider's answer cannot be read: tell your operator") from None
