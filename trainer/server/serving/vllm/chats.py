"""The chats of one vLLM, as the lines that the built-in process would say."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, nullcontext, suppress
from typing import Any

from trainer.server.serving.lines import Line, Unavailable
from trainer.server.serving.vllm import errors
from trainer.server.serving.vllm.adapters import Adapters
from trainer.server.serving.vllm.client import Vllm

log = logging.getLogger("trainer")

SECONDS_BETWEEN_LOOKS = 10.0
LEAST_TOP_P = 1e-6  # vLLM refuses 0


class Chats:
    def __init__(self, url: str, key: str, base: str, max_loras: int) -> None:
        self._vllm = Vllm(url, key)
        self._adapters = Adapters(self._vllm, max_loras)
        self._base = base
        self._served_as: str | None = None
        self._looking: asyncio.Task[None] | None = None

    async def ask(self, request: Line) -> AsyncGenerator[Line]:
        """Raises Unavailable."""
        self._looking = self._looking or asyncio.create_task(self._look())
        folder = request["adapter"]
        for _ in range(2):
            async with self._adapters.in_use(folder) if folder else nullcontext(await self._base_name()) as name:
                try:
                    async with aclosing(self._lines(_asked(name, request))) as lines:
                        async for line in lines:
                            yield line
                    return
                except errors.UnknownModel:  # vLLM was started again
                    self._served_as = None
                    self._adapters.forget(name)
        raise Unavailable(500, "serving_misconfigured", "The vLLM that answers for this model does not know it.")

    async def stop(self) -> None:
        if self._looking:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await self._vllm.close()

    async def _look(self) -> None:
        while True:
            try:
                await self._adapters.reconcile()
            except Unavailable as reason:
                log.info("the adapters of %s cannot be looked at: %s", self._base, reason)
            except Exception:
                log.exception("the adapters of %s cannot be looked at", self._base)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _base_name(self) -> str:
        """What vLLM calls its base: as we do, or as it pleases if it has only one name."""
        if self._served_as is None:
            names = [name for name, parent in (await self._vllm.models()).items() if parent is None]
            self._served_as = self._base if self._base in names or len(names) != 1 else names[0]
        return self._served_as

    async def _lines(self, request: Line) -> AsyncGenerator[Line]:
        """Raises Unavailable and UnknownModel, the latter before the first line."""
        reason, usage = None, None
        async with aclosing(self._vllm.chat(request)) as chunks:
            async for chunk in chunks:
                usage = chunk.get("usage") or usage
                with _nonsense_refused():
                    choices = list(chunk.get("choices") or [])
                    reason = next((end for choice in choices if (end := choice.get("finish_reason"))), reason)
                    said = [_said(choice, with_logprobs=request["logprobs"]) for choice in choices]
                for line in filter(None, said):
                    yield line
        if reason not in ("stop", "length") or not isinstance(usage, dict):
            log.warning("vLLM ended an answer with %s and the usage %s", reason, usage)
            raise errors.ended()
        with _nonsense_refused():
            counts = {name: int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")}
        yield {"end": reason, **counts}


@contextmanager
def _nonsense_refused() -> Iterator[None]:
    """Raises Unavailable for what has not the shape of vLLM's chunks."""
    try:
        yield
    except (AttributeError, TypeError, ValueError, LookupError, OverflowError) as error:
        log.warning("vLLM's answer cannot be read: %s", error)
        raise errors.not_vllm() from None


def _said(choice: dict[str, Any], *, with_logprobs: bool) -> Line | None:
    text = (choice.get("delta") or {}).get("content") or ""
    logprobs = (choice.get("logprobs") or {}).get("content") or []
    if not isinstance(text, str) or not isinstance(logprobs, list):
        raise TypeError("a delta's content is no text, or its logprobs no list")
    if not text and not logprobs:
        return None
    return {"text": text, "logprobs": logprobs if with_logprobs else None}


def _asked(model: str, request: Line) -> Line:
    """The request in vLLM's words."""
    asked = {
        "model": model,
        "messages": request["messages"],
        "temperature": request["temperature"],
        "top_p": max(request["top_p"], LEAST_TOP_P),
        "stop": request["stop"],
        "logprobs": request["logprobs"] is not None,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    optional = {
        "max_tokens": request["max_tokens"],
        "seed": request["seed"],
        "top_logprobs": request["logprobs"],
        "tools": request["tools"],
        # The model reads the tools, and what it says of them stays text, as in the answers that it was trained on.
        "tool_choice": "none" if request["tools"] else None,
    }
    return asked | {name: value for name, value in optional.items() if value is not None}
