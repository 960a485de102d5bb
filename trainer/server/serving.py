"""Stub."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from trainer.server.settings import Settings


class Serving:
    def __init__(self, python: Path, settings: Settings) -> None: ...

    async def reply(self, base: str, adapter: str | None, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        yield {"text": "stub"}
        yield {"end": "stop", "prompt_tokens": 1, "completion_tokens": 1}

    async def stop(self) -> None: ...
