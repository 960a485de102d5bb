"""What a kind of provider can do: it decides what a job there may ask for, and how the worker calls it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.providers.dialects import Dialect

METHODS = frozenset({"supervised", "dpo", "reinforcement"})
HYPERPARAMETERS = frozenset(
    {
        "n_epochs",
        "batch_size",
        "learning_rate_multiplier",
        "beta",
        "compute_multiplier",
        "eval_interval",
        "eval_samples",
        "reasoning_effort",
    }
)


@dataclass(frozen=True)
class Capabilities:
    """What the wire lets a caller ask for, less what this kind of provider has not.

    A file of more than `max_whole_file_bytes` is sent as an upload, in parts of `part_bytes`.
    `hyperparameters`: those of a method that mean there what they mean at OpenAI; one of the others may only be `auto`.
    `validated_methods`: those that take a validation file. `can_resume`: a job that the provider has paused.
    `suffix_length`: of the longest suffix, 0 for none. `integrations`: the types that it takes.
    `graders`: the types of graders that it has, None if it judges them itself. `takes_seed`: a job
    can be given one; where it cannot, one that nobody has asked for is not sent. `counts_examples`: a create is refused
    for a training file with too few examples or too many, by the limits of `rules.json`, which the check of datasets
    does not apply for it. `is_file_the_mark`: a job carries nothing of ours but its training file, so that each create
    names one that no other has named.
    `needs_deployment`: a tuned model must be deployed before it can be chatted with (`worker.providers.deploying`).
    """

    max_whole_file_bytes: int = 100_000_000
    part_bytes: int = 32 << 20
    methods: frozenset[str] = METHODS
    hyperparameters: frozenset[str] = HYPERPARAMETERS
    suffix_length: int = 64
    integrations: frozenset[str] = frozenset({"wandb"})
    validated_methods: frozenset[str] = METHODS
    can_pause: bool = True
    can_resume: bool = True
    needs_deployment: bool = False
    graders: frozenset[str] | None = None
    takes_seed: bool = True
    counts_examples: bool = False
    is_file_the_mark: bool = False


# `POST /files` fails late above 150 MB at Azure, and is refused above 512 MB at OpenAI; a part may have 64 MB.
_OPENAI = Capabilities()
_FIREWORKS = Capabilities(
    max_whole_file_bytes=sys.maxsize,  # the client chooses how a file goes, and never in parts
    methods=frozenset({"supervised", "dpo"}),
    validated_methods=frozenset({"supervised"}),
    hyperparameters=frozenset({"n_epochs", "batch_size", "beta"}),
    suffix_length=24,
    takes_seed=False,
    can_pause=False,
    needs_deployment=True,
)

# A suffix of 64 characters, less our id with a hyphen and two letters before it. Files of up to 5 GB are sent whole.
_NEBIUS = Capabilities(
    max_whole_file_bytes=5_000_000_000,
    methods=frozenset({"supervised"}),
    hyperparameters=frozenset({"n_epochs", "batch_size"}),
    suffix_length=35,
    integrations=frozenset(),
    can_pause=False,
    needs_deployment=True,
)

_MANTLE = Capabilities(
    max_whole_file_bytes=512_000_000,
    methods=frozenset({"supervised", "reinforcement"}),
    hyperparameters=frozenset({"n_epochs", "batch_size", "learning_rate_multiplier"}),
    suffix_length=0,
    takes_seed=False,
    integrations=frozenset(),
    validated_methods=frozenset(),
    can_pause=False,
    graders=frozenset({"lambda"}),
    counts_examples=True,
    is_file_the_mark=True,
)

# A file is sent in one request, of up to 5 GB. A suffix has 40 characters there, of which ours takes 27: see
# `worker.providers.together.suffix`. Weights & Biases would need a key with each job, which is kept nowhere here.
_TOGETHER = Capabilities(
    max_whole_file_bytes=5_000_000_000,
    methods=frozenset({"supervised", "dpo"}),
    hyperparameters=frozenset({"n_epochs", "batch_size", "beta"}),
    suffix_length=13,
    integrations=frozenset(),
    can_pause=False,
    needs_deployment=True,
)

CAPABILITIES: Mapping[Dialect, Capabilities] = {
    Dialect.OPENAI: _OPENAI,
    Dialect.AZURE: _OPENAI,
    Dialect.TRAINER: _OPENAI,
    Dialect.NEBIUS: _NEBIUS,
    Dialect.MANTLE: _MANTLE,
    Dialect.FIREWORKS: _FIREWORKS,
    Dialect.TOGETHER: _TOGETHER,
}


@dataclass(frozen=True)
class Unsupported:
    """What a job asks for and the provider has not. `param`: the field that asks."""

    param: str
    sentence: str


def find_wrong_method(able: Capabilities, method: str) -> str | None:
    """Return why a provider does not train by this method, or None."""
    return None if method in able.methods else f"trains by {' and '.join(sorted(able.methods))} only, not by {method}"


def find_unsupported(able: Capabilities, asked: Mapping[str, Any]) -> Unsupported | None:
    """Return the first thing that a job's columns ask for and a provider that can do so much has not, or None.

    `seed` is one that somebody has asked for, else None.
    """
    method = asked["method"]["type"]
    given = (asked["method"].get(method) or {}).get("hyperparameters") or {}
    foreign = [name for name, value in given.items() if value != "auto" and name not in able.hyperparameters]
    types = [each["type"] for each in asked["integrations"] or () if each["type"] not in able.integrations]
    grader = ((asked["method"].get("reinforcement") or {}).get("grader") or {}).get("type")
    suffix, problem = asked["suffix"] or "", None
    if (wrong := find_wrong_method(able, method)) is not None:
        problem = Unsupported("method", wrong)
    elif foreign:
        problem = Unsupported(f"method.{method}.hyperparameters.{foreign[0]}", _foreign(foreign[0], able))
    elif method == "reinforcement" and able.graders is not None and grader not in able.graders:
        problem = Unsupported("method.reinforcement.grader", f"grades by {' and '.join(sorted(able.graders))} only")
    elif len(suffix) > able.suffix_length:
        most = f"takes at most {able.suffix_length} characters" if able.suffix_length else "takes none"
        problem = Unsupported("suffix", most)
    elif asked["seed"] is not None and not able.takes_seed:
        problem = Unsupported("seed", "takes none: leave it out")
    elif types:
        problem = Unsupported("integrations", f"has no integration with {types[0]}")
    elif asked["validation_file"] is not None and method not in able.validated_methods:
        problem = Unsupported("validation_file", f"takes none for a {method} job: leave it out")
    return problem


def _foreign(name: str, able: Capabilities) -> str:
    hint = ": give the rate itself as provider_options.learning_rate" if name == "learning_rate_multiplier" else ""
    known = ", ".join(sorted(able.hyperparameters)) or "none"
    return f"has no such hyperparameter (it has {known}){hint or ': leave it out'}"
