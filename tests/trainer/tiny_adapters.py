"""Makes adapters of the tiny base that change its answers, and what PEFT itself answers with each of them:
`python tests/trainer/tiny_adapters.py BASE FOLDER`, in the trainer's environment."""

import json
import sys
from pathlib import Path
from typing import Any

QUESTIONS = ("What is a gradient?", "The slope " * 60, "é 漢字 👍", "Hi")
TOKENS = 40
TARGETS = {"one": ["q_proj", "v_proj"], "two": "all-linear", "three": ["down_proj"]}


def make(base: Path, folder: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def model() -> Any:
        return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)

    tokenizer = AutoTokenizer.from_pretrained(base)
    answers = {"base": _answers(model(), tokenizer)}
    for seed, (name, targets) in enumerate(TARGETS.items()):
        torch.manual_seed(seed)
        config = LoraConfig(r=4 + seed, lora_alpha=16, target_modules=targets, init_lora_weights=False)
        get_peft_model(model(), config).save_pretrained(folder / name)
        answers[name] = _answers(PeftModel.from_pretrained(model(), folder / name), tokenizer)
    (folder / "answers.json").write_text(json.dumps(answers))


def _answers(model: Any, tokenizer: Any) -> list[str]:
    """Greedy, each prompt alone."""
    found = []
    for question in QUESTIONS:
        asked = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        tokens = model.generate(**prompt, max_new_tokens=TOKENS, do_sample=False)[0]
        found.append(tokenizer.decode(tokens[prompt["input_ids"].shape[1] :], skip_special_tokens=True))
    return found


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]))
