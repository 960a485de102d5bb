"""Loads the base with what is trained of it: a new adapter, that of another job, or all of its weights."""

import importlib.util
import json
from pathlib import Path
from typing import Any

from trainer.job.failures import Failed
from trainer.job.precision import has_bfloat16
from trainer.job.settings import Job


def check(job: Job) -> None:
    """What can be refused before anything is loaded."""
    if not (job.base / "config.json").is_file():
        raise Failed("training_failed", f"The base {job.base_name} has no config.json. Add the base again.")
    _check_device(job)
    if job.options.quantization and job.options.full:
        message = "4-bit weights cannot be tuned themselves. Leave out `full`, or `quantization`."
        raise Failed("invalid_value", message, "provider_options.quantization")
    if job.options.shard and (len(job.devices) == 1 or job.options.quantization or job.method != "supervised"):
        message = (
            "Sharding needs a supervised job on several devices, and weights that are not in 4 bits. Leave it out."
        )
        raise Failed("invalid_value", message, "provider_options.shard")
    if job.options.packing and job.method != "supervised":
        message = "Only examples of supervised jobs can be packed into one row. Leave packing out."
        raise Failed("invalid_value", message, "provider_options.packing")
    if job.from_adapter and (job.from_adapter / "adapter_config.json").is_file() == job.options.full:
        was, wanted = ("an adapter", "all weights") if job.options.full else ("all weights", "an adapter")
        message = f"The model to go on from was trained as {was}, this job trains {wanted}. Give both the same `full`."
        raise Failed("invalid_value", message, "provider_options.full")


def context_of(base: Path) -> int | None:
    """How many tokens the base was made for."""
    length = config_of(base).get("max_position_embeddings")
    return length if isinstance(length, int) else None


def config_of(base: Path) -> dict[str, Any]:
    """The base's config.json; of its part about text, where it has several."""
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    return {**config, **config.get("text_config", {})}


def tokenizer_of(base: Path) -> tuple[Any, set[int]]:
    """The tokenizer, and the ids of tokens that end a turn."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if not tokenizer.is_fast:
        raise Failed("training_failed", f"{base.name} has no tokenizer.json. Convert its tokenizer, and add it again.")
    generation = base / "generation_config.json"
    ends = json.loads(generation.read_text()).get("eos_token_id") if generation.is_file() else None
    return tokenizer, {ends} if isinstance(ends, int) else set(ends or ())


def load(job: Job, tuned: Path | None = None) -> Any:
    """`tuned`: a folder with all weights, instead of the base's."""
    import torch
    from transformers import AutoModelForCausalLM

    whole = tuned or (job.from_adapter if job.options.full and job.from_adapter else job.base)
    # Steps of AdamW are smaller than what bfloat16 can tell apart, so weights that are trained are float32.
    dtype = torch.bfloat16 if has_bfloat16(job.device) and not job.options.full else torch.float32
    extra = _in_4_bits() if job.options.quantization else {}
    model = AutoModelForCausalLM.from_pretrained(whole, dtype=dtype, local_files_only=True, **extra)
    torch.manual_seed(job.seed)  # the adapter's first weights
    return model if job.options.full else _with_adapter(job, model)


def _with_adapter(job: Job, model: Any) -> Any:
    from peft import LoraConfig, PeftModel, get_peft_model

    if job.from_adapter:
        return PeftModel.from_pretrained(model, job.from_adapter, is_trainable=True)
    options = job.options
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=options.targets,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as reason:
        if "target" not in str(reason).lower():
            raise
        message = f"{job.base_name} has no modules named {options.targets}. Give names that it has, or leave it out."
        raise Failed("invalid_value", message, "provider_options.targets") from None


def _check_device(job: Job) -> None:
    import torch

    gpu, given = job.on_gpu, " and ".join(job.devices)
    if gpu and torch.cuda.device_count() < len(job.devices):
        seen = torch.cuda.device_count() or "no"
        message = f"The job was given {given}, but torch sees {seen} GPU of them. Check the driver and torch's build."
        raise Failed("training_failed", message)
    if job.options.quantization and not (gpu and importlib.util.find_spec("bitsandbytes")):
        message = "4-bit weights need an NVIDIA GPU and the package bitsandbytes, which this trainer lacks. Leave out "
        raise Failed("invalid_value", message + "provider_options.quantization.", "provider_options.quantization")


def _in_4_bits() -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config, "device_map": {"": torch.cuda.current_device()}}
