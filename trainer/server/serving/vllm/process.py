"""A vLLM of our own for one base: on a port of this machine, with a key that is made for it."""

import secrets
import shlex
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from trainer import environment
from trainer.server.serving.command import Waiting
from trainer.server.serving.lines import Line
from trainer.server.serving.process import BaseProcess
from trainer.server.serving.vllm.chats import Chats

NAME = "base"
VARIABLES = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


@dataclass(frozen=True, kw_only=True)
class VllmCommand(Waiting):
    words: str
    """Such as `vllm serve --max-model-len 8192`; options of ours come before its own, so that its own win."""
    max_loras: int

    def arguments(self, base: str, port: int) -> Sequence[str]:
        words = shlex.split(self.words)
        first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
        ours = {
            "host": "127.0.0.1",
            "port": port,
            "served-model-name": NAME,
            "generation-config": "vllm",  # else a base's own file sets what a request leaves out
            "max-loras": self.max_loras,
            "max-lora-rank": 64,
        }
        options = [f"--{name}={value}" for name, value in ours.items()]
        return [*words[:first], base, "--enable-lora", *options, *words[first:]]

    async def start(self, base: str, port: int, key: str) -> Process:
        arguments = ["-m", "trainer.server.serving.vllm.guard", str(port), *self.arguments(base, port)]
        variables = environment.inherited() | VARIABLES | {"VLLM_API_KEY": key}
        return await self.spawn(base, Path(sys.executable), arguments, variables)


class VllmProcess(BaseProcess):
    def __init__(self, command: VllmCommand, base: str) -> None:
        super().__init__(command, base)
        self._command = command
        self._chats: Chats | None = None

    async def _start(self) -> Process:
        if self._chats:
            await self._chats.stop()
        port, key = _free_port(), secrets.token_urlsafe(32)
        self._chats = Chats(f"http://127.0.0.1:{port}", key, NAME, self._command.max_loras)
        return await self._command.start(self._base, port, key)

    async def ask(self, request: Line) -> AsyncGenerator[Line]:
        """Raises Unavailable."""
        await self._loaded()
        assert self._chats is not None
        async with aclosing(self._chats.ask(request)) as lines:
            async for line in lines:
                self._has_answered()
                yield line

    async def stop(self) -> None:
        try:
            if self._chats:
                await self._chats.stop()
        finally:
            await super().stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
