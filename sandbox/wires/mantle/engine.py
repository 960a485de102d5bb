"""The engine with mantle's models and ids, and the switches for what nobody has seen there."""

from typing import Annotated
from uuid import uuid4

from fastapi import Depends

from sandbox.engine import Sandbox
from sandbox.models import Base
from wire_server.state import get_state

_CREATED = 1_754_352_000
MODELS = {
    "openai.gpt-oss-20b": Base("openai.gpt-oss-20b", _CREATED, None, ["supervised", "reinforcement"]),
    "qwen.qwen3-32b": Base("qwen.qwen3-32b", _CREATED, None, ["supervised", "reinforcement"]),
    "openai.gpt-oss-120b": Base("openai.gpt-oss-120b", _CREATED, None, []),
}


class MantleSandbox(Sandbox):
    models = MODELS
    reinforcement_needs_validation = False

    def _empty(self) -> None:
        super()._empty()
        self.list_is_stale = True
        self.trains_supervised = True
        self.least_rows = 100

    def file_id(self) -> str:
        return str(uuid4())


MantleDep = Annotated[MantleSandbox, Depends(get_state)]
