"""The HTTP of one vLLM: its chats as events, its adapters by name. Every wait has an end, and every answer a size."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from trainer.server.serving.lines import Line, Unavailable
from trainer.server.serving.vllm import errors

log = logging.getLogger("trainer")

SECONDS = 30.0
SECONDS_TO_CONNECT, SECONDS_FOR_A_CONNECTION = 5.0, 10.0
SECONDS_TO_LOAD = 120.0
SECONDS_BETWEEN_PIECES = 300.0
"""Before the first one a request may have waited for its turn."""
MOST_CONNECTIONS = 256
MOST_BYTES = 2**20
"""Of a line of a stream, and of any other answer."""


class Vllm:
    def __init__(self, url: str, key: str) -> None:
        self._key = key
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=_timeout(SECONDS),
            limits=httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_CONNECTIONS),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def models(self) -> dict[str, str | None]:
        """The base's name and the adapters': each with its parent, which the base has not. Raises Unavailable."""
        listed = await self._call("GET", "/v1/models")
        try:
            return {str(card["id"]): card.get("parent") for card in json.loads(listed)["data"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise errors.not_vllm() from None

    async def load(self, name: str, folder: str) -> None:
        """Raises Unavailable."""
        body = {"lora_name": name, "lora_path": folder}
        await self._call("POST", "/v1/load_lora_adapter", body, timeout=SECONDS_TO_LOAD, refusal=errors.of_load)

    async def unload(self, name: str) -> None:
        """Raises Unavailable, also if there is no such adapter."""
        await self._call("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    async def chat(self, request: Line) -> AsyncGenerator[dict[str, Any]]:
        """The chunks of a streamed answer, up to `[DONE]`. Raises Unavailable, and UnknownModel."""
        timeout = _timeout(SECONDS_BETWEEN_PIECES)
        with self._troubles():
            async with self._http.stream("POST", "/v1/chat/completions", json=request, timeout=timeout) as response:
                if response.status_code != httpx2.codes.OK:
                    raise errors.of_chat(response.status_code, response.headers, await self._read(response))
                async for line in _lines(response.aiter_bytes()):
                    if line == b"data: [DONE]":
                        return
                    if line.startswith(b"data:"):
                        yield self._chunk(line)
        raise errors.ended()

    def _chunk(self, line: bytes) -> dict[str, Any]:
        try:
            chunk = json.loads(line.removeprefix(b"data:"))
        except ValueError:
            raise errors.not_vllm() from None
        if not isinstance(chunk, dict):
            raise errors.not_vllm()
        if error := chunk.get("error"):
            raise errors.of_chat(500, {}, self._clean(json.dumps({"error": error})))
        return chunk

    async def _call(
        self,
        method: str,
        path: str,
        body: Line | None = None,
        timeout: float = SECONDS,
        refusal: errors.Refusal = errors.of_call,
    ) -> str:
        with self._troubles():
            async with self._http.stream(method, path, json=body, timeout=_timeout(timeout)) as got:
                said = await self._read(got)
                if got.status_code == httpx2.codes.OK:
                    return said
                log.warning("vLLM answered %s %s with %d: %s", method, path, got.status_code, said[:1000])
                raise refusal(got.status_code, got.headers, said)

    async def _read(self, response: httpx2.Response) -> str:
        """The body without the key."""
        body = b""
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MOST_BYTES:
                raise errors.not_vllm()
        return self._clean(body.decode(errors="replace"))

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        """Raises Unavailable for what the network does."""
        try:
            yield
        except httpx2.PoolTimeout:
            message = "Too many requests wait for this model. Try again."
            raise Unavailable(429, "too_many_waiting", message, retry_after=2) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            log.warning("vLLM at %s cannot be reached: %s", self._http.base_url, error)
            raise errors.unreachable() from None
        except httpx2.TimeoutException:
            raise Unavailable(504, "serving_timeout", "vLLM took too long for this model. Try again.") from None
        except httpx2.HTTPError as error:
            log.warning("vLLM at %s broke an answer off: %s", self._http.base_url, type(error).__name__)
            raise errors.ended() from None


def _timeout(read: float) -> httpx2.Timeout:
    return httpx2.Timeout(SECONDS, connect=SECONDS_TO_CONNECT, pool=SECONDS_FOR_A_CONNECTION, read=read)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Without their ends. Raises Unavailable for one that is too long."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.rstrip(b"\r")
        if len(rest) > MOST_BYTES:
            raise errors.not_vllm()
