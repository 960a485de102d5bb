"""Builds the body of a create from what a job asks for, in Together's words."""

from typing import Any

from worker.providers.errors import contradiction
from worker.providers.protocol import NewJob
from worker.providers.together.suffix import suffix

MAX_CHECKPOINTS = 3  # where the caller does not say how many: as many as OpenAI keeps
_OF_LORA = ("lora_r", "lora_alpha", "lora_dropout", "lora_trainable_modules")
_OF_OTHERS = {*_OF_LORA, "full", "train_on_inputs", "n_evals"}  # options that are no fields of the body by themselves
_PATIENCE, _WARMUP_EVALS = 2, 1  # what early stopping takes where the caller does not say


def body(job: NewJob) -> dict[str, Any]:
    """What the caller left to the provider is left out. Raises `ProviderError` for options that exclude each other."""
    options, numbers = job.provider_options, job.hyperparameters
    given = {name: value for name, value in options.items() if name not in _OF_OTHERS}
    wanted: dict[str, Any] = {
        "from_checkpoint" if job.is_tuned else "model": job.model,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "suffix": suffix(job.mark.job_id, job.suffix),
        "random_seed": job.seed,
        "n_epochs": numbers.get("n_epochs"),
        "batch_size": numbers.get("batch_size"),
        "n_evals": options.get("n_evals") or _evaluations(job),
        "n_checkpoints": min(numbers.get("n_epochs", 1), MAX_CHECKPOINTS),
        "training_type": _training_type(options),
        "training_method": _training_method(job),
    }
    return {name: value for name, value in {**wanted, **given}.items() if value is not None}


def _evaluations(job: NewJob) -> int | None:
    """Without evaluations a validation file would not be used; early stopping needs some to compare."""
    if job.validation_file is None:
        return None
    options, least = job.provider_options, 1
    if options.get("early_stopping_enabled"):
        least += int(options.get("early_stopping_patience", _PATIENCE))
        least += int(options.get("early_stopping_warmup_evals", _WARMUP_EVALS))
    return max(least, int(job.hyperparameters.get("n_epochs", 1)))


def _training_type(options: dict[str, Any]) -> dict[str, Any] | None:
    """None leaves it to the provider: LoRA, or what the model was trained by that a job continues."""
    lora = {name: options[name] for name in _OF_LORA if name in options}
    if options.get("full"):
        if lora:
            raise contradiction(f"full trains all weights, so {', '.join(lora)} cannot be given with it")
        return {"type": "Full"}
    if not lora and "full" not in options:
        return None
    if isinstance(lora.get("lora_trainable_modules"), list):
        lora["lora_trainable_modules"] = ",".join(lora["lora_trainable_modules"])
    if "lora_r" in lora:
        lora.setdefault("lora_alpha", 2 * lora["lora_r"])
    return {"type": "Lora", **lora}


def _training_method(job: NewJob) -> dict[str, Any]:
    on_inputs = job.provider_options.get("train_on_inputs")
    if job.method_type == "supervised":
        return {"method": "sft", "train_on_inputs": "auto" if on_inputs is None else on_inputs}
    if on_inputs is not None:
        sentence = "train_on_inputs is for the method supervised only"
        raise contradiction(sentence, "provider_options.train_on_inputs")
    beta = job.hyperparameters.get("beta")
    return {"method": "dpo"} if beta is None else {"method": "dpo", "dpo_beta": beta}
