"""`python -m trainer.bases.examine FOLDER`: whether a folder of weights can be a base; in the trainer's environment.

Prints one line of JSON: what was found, or `{"refused": "a sentence"}`.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from trainer.bases.template import end_of_turn, refusal_of_prefixes
from trainer.job.memory import available

LOADED_UP_TO = 0.4  # of the memory that is available; of larger weights the headers are read alone
OF_A_LAPTOP = 8 << 30  # bytes, where it cannot be told, as beside Linux


class Unfit(Exception):
    """Why no job can be trained on it, as a sentence."""


def main(folder: Path) -> dict[str, Any]:
    config = _config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise Unfit("It has no safetensors. Other files may run code when they are loaded: convert them first.")
    tokenizer = _tokenizer(folder)
    found = _shape(config, folder) | {"vocabulary": len(tokenizer), "dtype": _dtype(config, files)}
    found["parameters"] = _count(files)
    found["loaded"] = _load(folder, sum(file.stat().st_size for file in files))
    found["template_sha256"] = hashlib.sha256(tokenizer.chat_template.encode()).hexdigest()
    found["end_of_turn"] = _end_of_turn(tokenizer, folder)
    return found


def _config(folder: Path) -> Any:
    if not (folder / "config.json").exists():
        raise Unfit("It has no config.json.")
    try:
        config = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise Unfit(f"transformers {transformers.__version__} cannot read its config.json: {reason}") from error
    architectures = config.architectures or []
    if not set(architectures) & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()):
        kind = ", ".join(architectures) or config.model_type
        sees = hasattr(config, "vision_config") or hasattr(config, "image_size")
        why = "it reads pictures, and only texts are trained" if sees else "it does not continue texts"
        raise Unfit(f"It is no causal language model ({kind}): {why}.")
    return config


def _tokenizer(folder: Path) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unfit(f"Its tokenizer cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(tokenizer.chat_template, str):
        raise Unfit(
            "It has no chat template, so it cannot be told how a conversation looks. Take its Instruct version."
        )
    if refusal := refusal_of_prefixes(tokenizer):
        raise Unfit(refusal)
    return tokenizer


def _end_of_turn(tokenizer: Any, folder: Path) -> str:
    ends = {tokenizer.eos_token_id}
    if (folder / "generation_config.json").exists():
        also = GenerationConfig.from_pretrained(folder).eos_token_id
        ends |= set(also if isinstance(also, list) else [also])
    found = end_of_turn(tokenizer, {each for each in ends if each is not None})
    if found is None:
        known = tokenizer.decode([each for each in ends if each is not None])
        raise Unfit(f"Its template does not end an answer with a token at which it stops ({known or 'it has none'}).")
    return str(tokenizer.decode([found]))


def _shape(config: Any, folder: Path) -> dict[str, Any]:
    names = {"context": "max_position_embeddings", "hidden": "hidden_size", "layers": "num_hidden_layers"}
    found = {ours: getattr(config, theirs, None) for ours, theirs in names.items()}
    missing = [names[ours] for ours, value in found.items() if not isinstance(value, int)]
    if missing:
        raise Unfit(f"Its config.json does not say {' and '.join(missing)}.")
    return found


def _dtype(config: Any, files: list[Path]) -> str:
    """As the configuration says, else that of the first weights."""
    if config.dtype is not None:
        return str(config.dtype).removeprefix("torch.")
    with safe_open(files[0], framework="pt") as weights:
        return str(weights.get_tensor(next(iter(weights.keys()))).dtype).removeprefix("torch.")


def _count(files: list[Path]) -> int:
    """Parameters that the files hold; tied ones once. Reading the headers also shows a file that is cut off."""
    parameters = 0
    for file in files:
        try:
            with safe_open(file, framework="pt") as weights:
                parameters += sum(_size(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
        except SafetensorError as error:
            raise Unfit(f"{file.name} is damaged or cut off: {error}") from error
    return parameters


def _size(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _load(folder: Path, size: int) -> bool:
    """Whether it was loaded and has said a token: larger ones would push others out of memory."""
    free = available.of_host()
    if size > (OF_A_LAPTOP if free is None else free) * LOADED_UP_TO:
        return False
    try:
        model, told = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise Unfit(f"It cannot be loaded: {str(error).splitlines()[0]}") from error
    if told["missing_keys"]:
        raise Unfit(f"Its files lack weights, among them {min(told['missing_keys'])}.")
    with torch.inference_mode():
        scores = model(torch.tensor([[0, 1]])).logits
    if not torch.isfinite(scores).all():
        raise Unfit("It was loaded, but what it says are no finite numbers: its weights are damaged.")
    return True


if __name__ == "__main__":
    try:
        said = main(Path(sys.argv[1]))
    except Unfit as reason:
        said = {"refused": str(reason)}
    sys.stdout.write(json.dumps(said) + "\n")
