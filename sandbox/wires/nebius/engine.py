"""The engine with Nebius' models and ids, and the switches for what nobody has seen there."""

from collections import Counter
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from fastapi import Depends

from sandbox.engine import Sandbox
from sandbox.models import Base
from sandbox.runs import Run
from sandbox.settings import Settings
from sandbox.training.hyperparameters import steps_per_epoch
from wire_server.job_files import keep_result
from wire_server.records import Checkpoint, Model
from wire_server.state import get_state

_CREATED = 1_735_689_600
TRAINED = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
    "Qwen/Qwen3-0.6B",
    "unsloth/gpt-oss-20b-BF16",
)
SERVED_AS = {
    "meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct": "meta-llama/Llama-3.3-70B-Instruct",
}
"""The bases whose adapters are served without machines of one's own, and their names there."""
_OTHERS = ("deepseek-ai/DeepSeek-R1-0528",)
_ADAPTER = {
    "adapter_config.json": b'{"peft_type": "LORA", "r": 8}',
    "adapter_model.safetensors": b"\x02\0\0\0\0\0\0\0{}",
}


MODELS = {
    **{name: Base(name, _CREATED, None, ["supervised"]) for name in TRAINED},
    **{name: Base(name, _CREATED, None, []) for name in ("meta-llama/Meta-Llama-3.1-8B-Instruct", *_OTHERS)},
}


class NebiusSandbox(Sandbox):
    models = MODELS
    checkpoints_kept = 10_000
    file_status = None

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        served = {*SERVED_AS.values(), *_OTHERS}
        self._served = {name: model for name, model in super().bases().items() if name in served}

    def _empty(self) -> None:
        super()._empty()
        self.keeps_metadata = True
        self.lists_bare = False
        self.looks: Counter[str] = Counter()
        self.adapters: dict[str, list[str]] = {}

    def bases(self) -> dict[str, Model]:
        """Those that are served: they are listed, and answer chats."""
        return self._served

    def file_id(self) -> str:
        return f"file-{uuid4()}"

    def job_id(self) -> str:
        return f"ftjob-{uuid4().hex}"

    def files_of(self, checkpoint: Checkpoint) -> list[str]:
        """The files of a checkpoint, which are there from the first time that somebody asks for them."""
        if checkpoint.id not in self.adapters:
            folder = f"{checkpoint.fine_tuning_job_id}/{checkpoint.id}"
            self.adapters[checkpoint.id] = [
                self._keep_file(f"{folder}/{name}", content, checkpoint.created_at)
                for name, content in _ADAPTER.items()
            ]
        return self.adapters[checkpoint.id]

    def _keep_file(self, name: str, content: bytes, created_at: int) -> str:
        path = self.new_path()
        path.write_bytes(content)
        return keep_result(self, path, name, created_at)


NebiusDep = Annotated[NebiusSandbox, Depends(get_state)]


def total_steps(run: Run) -> int:
    return int(run.hyperparameters["n_epochs"]) * steps_per_epoch(run.hyperparameters, run.training.n_examples)
