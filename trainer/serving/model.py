"""A base in memory, and adapters that come at first use and leave when others need their place."""

from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainer.serving import cache, memory
from trainer.serving.request import Refused

BASE = "__base__"  # PEFT's name for a row without an adapter
WEIGHTS = "adapter_model.safetensors"


class CannotServe(Exception):
    """The base's folder is not one that can be served."""


class Model:
    def __init__(self, folder: Path, most_adapters: int, device: str = "auto"):
        """Raises CannotServe, MemoryError, and what transformers does."""
        if not (folder / "config.json").is_file():
            raise CannotServe(f"{folder} has no config.json.")
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        if not self.tokenizer.chat_template:
            raise CannotServe(f"{folder} has no chat template, so it cannot answer chats.")
        if device == "auto":
            device = "cuda:0" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        memory.check_room(folder, self.device)
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=_dtype(folder, self.device)).to(self.device)
        if reason := cache.refusal(base.config):
            raise CannotServe(f"{folder} cannot be served: {reason}.")
        self.context: int = base.config.get_text_config().max_position_embeddings
        self.ends = _end_tokens(base.generation_config.eos_token_id, self.tokenizer.eos_token_id)
        self.adapters = Adapters(base, most_adapters, self.device)
        self._try_out(folder)

    def _try_out(self, folder: Path) -> None:
        """One token, so that a base that cannot be served is told now; and the first answer comes sooner."""
        probe = cache.empty()
        self.forward([[0]], [BASE], past_key_values=probe)
        if not all(layer.is_initialized for layer in probe.layers):
            raise CannotServe(f"{folder} cannot be served: its layers share keys and values.")

    def forward(self, tokens: list[list[int]], adapters: list[str], **inputs: Any) -> torch.Tensor:
        """The logits of the last column, float32, a row for each row; the cache in `inputs` grows."""
        rows = torch.tensor(tokens, device=self.device)
        with torch.inference_mode():
            output = self.adapters.model(
                input_ids=rows, adapter_names=adapters, use_cache=True, logits_to_keep=1, **inputs
            )
            logits: torch.Tensor = output.logits[:, -1].float()
            return logits


class Adapters:
    """Adapters by folder, the one used last at the end.

    The model is PEFT's from the beginning, with an adapter that no row uses: only then a broken adapter, which PEFT may
    have put into half of the layers, can be taken out again.
    """

    def __init__(self, base: Any, most: int, device: torch.device):
        linear = next(name for name, module in base.named_modules() if isinstance(module, torch.nn.Linear))
        self.model = PeftModel(base, LoraConfig(r=1, target_modules=[linear]), adapter_name="unused").eval()
        self._most = most
        self._device = device
        self._names: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        self._count = 0

    def has_room(self, folder: str | None, in_use: Collection[str]) -> bool:
        """Whether the adapter is in memory, or could be loaded without one of those in use leaving."""
        is_here = folder is None or any(key[0] == folder for key in self._names)
        return is_here or len(self._names) < self._most or any(name not in in_use for name in self._names.values())

    def name_of(self, folder: str | None, in_use: Collection[str]) -> str:
        """The name for a row of this adapter, which is loaded if it is not in memory. Raises Refused."""
        if folder is None:
            return BASE
        key = _version(folder)
        if key not in self._names:
            self._make_room(in_use)
            self._names[key] = self._load(folder)
        self._names.move_to_end(key)
        return self._names[key]

    def _make_room(self, in_use: Collection[str]) -> None:
        while len(self._names) >= self._most:
            idle = next((key for key, name in self._names.items() if name not in in_use), None)
            if idle is None:
                raise Refused("adapters_in_use", "All adapters that fit are in use. Try again later.", status=429)
            self.model.delete_adapter(self._names.pop(idle))

    def _load(self, folder: str) -> str:
        self._count += 1
        name = f"adapter{self._count}"  # never used again, so that nothing that PEFT keeps by name can be mistaken
        try:
            if PeftConfig.from_pretrained(folder).peft_type != "LORA":
                raise ValueError("it is not a LoRA adapter")
            result = self.model.load_adapter(folder, name, torch_device=str(self._device))
            if result.missing_keys or result.unexpected_keys:
                raise ValueError("its weights are not those that its adapter_config.json describes")
        except Exception as error:  # whatever a broken file makes PEFT raise
            if name in self.model.peft_config:
                self.model.delete_adapter(name)
            if memory.is_exhausted(error):
                raise Refused(
                    "out_of_memory", "There is no memory for another adapter. Try again later.", status=429
                ) from error
            reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
            raise Refused(
                "adapter_broken", f"The adapter of this model cannot be loaded: {reason}", status=500
            ) from error
        self.model.eval()
        return name


def _dtype(folder: Path, device: torch.device) -> torch.dtype | str:
    """On CPUs float32, if it leaves half of the memory free.

    In bfloat16 the digits of a row depend on how many share the batch, and a third of the greedy answers with them; and
    CPUs without instructions for it take four times as long to read a prompt.
    """
    as_float32 = 2 * sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return torch.float32 if device.type == "cpu" and as_float32 <= memory.for_rows(device) else "auto"


def _version(folder: str) -> tuple[str, int, int]:
    """Another key when the folder was made anew: its old adapter must not answer."""
    try:
        found = (Path(folder) / WEIGHTS).stat()
    except (OSError, ValueError):
        raise Refused(
            "adapter_missing", "The adapter of this model is gone from the trainer's folder.", status=500
        ) from None
    return folder, found.st_mtime_ns, found.st_ino


def _end_tokens(*given: int | list[int] | None) -> set[int]:
    return {token for one in given if one is not None for token in (one if isinstance(one, list) else [one])}
