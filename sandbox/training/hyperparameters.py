"""The numbers that hyperparameters get which are `auto`, by the rules of OpenAI's cookbook and of observed jobs."""

import math
from typing import Any

TARGET_EPOCHS = 3
MIN_TARGET_EXAMPLES, MAX_TARGET_EXAMPLES = 100, 25_000
MAX_AUTO_EPOCHS = 25
MAX_BATCH_SIZE = 256
EXAMPLES_PER_BATCH_OF_ONE = 500


def auto_epochs(n_examples: int) -> int:
    """Three epochs; more for few examples, fewer for very many (the rule of OpenAI's cookbook)."""
    if TARGET_EPOCHS * n_examples < MIN_TARGET_EXAMPLES:
        return min(MAX_AUTO_EPOCHS, MIN_TARGET_EXAMPLES // n_examples)
    if TARGET_EPOCHS * n_examples > MAX_TARGET_EXAMPLES:
        return max(1, MAX_TARGET_EXAMPLES // n_examples)
    return TARGET_EPOCHS


def automatic(n_examples: int, base: str) -> dict[str, float]:
    """What `auto` means for each hyperparameter."""
    return {
        "n_epochs": auto_epochs(n_examples),
        "batch_size": min(MAX_BATCH_SIZE, max(1, n_examples // EXAMPLES_PER_BATCH_OF_ONE)),
        "learning_rate_multiplier": 1.8 if base.startswith("gpt-4o-mini") else 2.0,
        "beta": 0.1,
        "compute_multiplier": 1.0,
        "eval_interval": 5,
        "eval_samples": 1,
    }


def steps_per_epoch(values: dict[str, Any], n_examples: int) -> int:
    return math.ceil(n_examples / int(values["batch_size"]))
