"""What Nebius trains. Its list of models has those that it serves, some of them by another name."""

from dataclasses import replace

from worker.providers.protocol import BaseModel

# As of 2026-02, from third parties: its documentation names families and sizes. An account may know more, or fewer, and
# then refuses the create.
TRAINABLE = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.1-70B-Instruct",
    "meta-llama/Llama-3.2-1B-Instruct",
    "meta-llama/Llama-3.2-3B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "Qwen/Qwen2.5-14B-Instruct",
    "Qwen/Qwen2.5-32B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen3-1.7B",
    "Qwen/Qwen3-4B",
    "Qwen/Qwen3-8B",
    "Qwen/Qwen3-14B",
    "Qwen/Qwen3-32B",
    "Qwen/Qwen3-Coder-30B-A3B-Instruct",
    "Qwen/Qwen3-Coder-480B-A35B-Instruct",
    "deepseek-ai/DeepSeek-V3-0324",
    "deepseek-ai/DeepSeek-V3.1",
    "unsloth/gpt-oss-20b-BF16",
    "unsloth/gpt-oss-120b-BF16",
)


def with_trainable(listed: list[BaseModel]) -> list[BaseModel]:
    """The models of the list, and those that are trained and not in it."""
    names = {model.id for model in listed}
    others = [BaseModel(id, 0, "nebius", None, True) for id in TRAINABLE if id not in names]
    return [*(replace(model, is_tunable=model.id in TRAINABLE) for model in listed), *others]
