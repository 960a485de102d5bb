"""The numbers that a job trains with where its hyperparameters are `auto`, and those that `job.json` names."""

from collections.abc import Mapping
from typing import Any

EPOCHS = 3
MAX_EXAMPLES_SEEN = 25_000
BATCH_SIZES = ((1_000, 4), (10_000, 8))
LARGEST_BATCH = 16
BETA = 0.1


def auto_epochs(n_examples: int) -> int:
    """Three, fewer for very many examples. Never more for few: a small adapter soon knows them by heart."""
    return max(1, min(EPOCHS, MAX_EXAMPLES_SEEN // max(1, n_examples)))


def auto_batch_size(n_examples: int) -> int:
    return next((size for most, size in BATCH_SIZES if n_examples <= most), LARGEST_BATCH)


def automatic(n_examples: int) -> dict[str, float]:
    """What `auto` means for each hyperparameter."""
    return {
        "n_epochs": auto_epochs(n_examples),
        "batch_size": auto_batch_size(n_examples),
        "learning_rate_multiplier": 1.0,
        "beta": BETA,
    }


def decide(values: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of `job.json`. `values`: the hyperparameters of the wire, of which none is `auto` any more."""
    rate = spec["options"]["learning_rate"] or spec["base_learning_rate"] * values["learning_rate_multiplier"]
    beta = {"beta": values["beta"]} if "beta" in values else {}
    return {"n_epochs": values["n_epochs"], "batch_size": values["batch_size"], "learning_rate": rate, **beta}
