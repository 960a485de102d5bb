"""What a kind of provider takes for a job beside OpenAI's own fields: `provider_options` of a new job."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.providers.dialects import Dialect

WRONG = object()
"""What `Option.value` returns for a value that the option does not take."""
_SEGMENT = re.compile(r"[\w(-][\w().-]{0,89}", re.ASCII)


class Option(Protocol):
    def value(self, given: Any) -> Any:
        """The value as it is kept and sent, or `WRONG`."""

    def sentence(self) -> str:
        """What a value must be, to be put after «must be»."""


@dataclass(frozen=True)
class Choice:
    """One of these texts, in any case, or of these numbers."""

    known: tuple[str | int, ...]

    def value(self, given: Any) -> Any:
        for each in self.known:
            if type(given) is type(each) and str(given).lower() == str(each).lower():
                return each
        return WRONG

    def sentence(self) -> str:
        return f"one of {', '.join(map(str, self.known))}"


@dataclass(frozen=True)
class Number:
    """From `least` to `most`; `is_whole`: without a fraction. `above`: `least` itself is too little."""

    least: float
    most: float
    is_whole: bool = False
    above: bool = False

    def value(self, given: Any) -> Any:
        if type(given) is not int and (self.is_whole or type(given) is not float):
            return WRONG
        return given if self.least <= given <= self.most and not (self.above and given == self.least) else WRONG

    def sentence(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        return f"{kind} {'above' if self.above else 'from'} {self.least:g} to {self.most:g}"


class Flag:
    def value(self, given: Any) -> Any:
        return given if isinstance(given, bool) else WRONG

    def sentence(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Word:
    """A name of the provider's own."""

    max_length: int = 100

    def value(self, given: Any) -> Any:
        good = isinstance(given, str) and 0 < len(given) <= self.max_length and given.isascii() and given.isprintable()
        return given if good else WRONG

    def sentence(self) -> str:
        return f"a text of up to {self.max_length} characters"


class Segment:
    """A name that stands between two slashes of an address."""

    def value(self, given: Any) -> Any:
        return given if isinstance(given, str) and _SEGMENT.fullmatch(given) else WRONG

    def sentence(self) -> str:
        return "a name of up to 90 letters, digits and _-.() that does not begin with a full stop"


@dataclass(frozen=True)
class Modules:
    """`all-linear`, or the names of a model's modules."""

    most: int = 50
    max_length: int = 100

    def value(self, given: Any) -> Any:
        if given == "all-linear":
            return given
        names = given if isinstance(given, list) else []
        good = all(isinstance(name, str) and 0 < len(name) <= self.max_length for name in names)
        return given if good and 0 < len(names) <= self.most else WRONG

    def sentence(self) -> str:
        return f"all-linear, or a list of up to {self.most} names of modules"


# Azure bills by it. Public samples write the names in more than one case, and Azure refuses some of them: any case is
# accepted, and this one is sent. The samples also have the numbers 0 for `Standard`, and 1, which some models need.
# Without it a job trains in the resource's own region, as `Standard`.
_TRAINING_TYPES = Choice(("Standard", "GlobalStandard", "developerTier", 0, 1))

# By Together's own names. What it makes of a number is its own: it refuses what is beyond the limits of a model.
_TOGETHER: Mapping[str, Option] = {
    "full": Flag(),
    "lora_r": Number(1, 512, is_whole=True),
    "lora_alpha": Number(1, 2048, is_whole=True),
    "lora_dropout": Number(0, 0.99),
    "lora_trainable_modules": Modules(),
    "learning_rate": Number(0, 1, above=True),
    "warmup_ratio": Number(0, 1),
    "weight_decay": Number(0, 10),
    "max_grad_norm": Number(0, 1000),
    "max_seq_length": Number(8, 10_000_000, is_whole=True),
    "packing": Flag(),
    "train_on_inputs": Flag(),
    "n_evals": Number(1, 1000, is_whole=True),
    "n_checkpoints": Number(1, 1000, is_whole=True),
    "early_stopping_enabled": Flag(),
    "early_stopping_patience": Number(1, 1000, is_whole=True),
    "early_stopping_min_delta": Number(0, 100),
    "early_stopping_warmup_evals": Number(0, 1000, is_whole=True),
}

OPTIONS: Mapping[Dialect, Mapping[str, Option]] = {
    Dialect.OPENAI: {},
    Dialect.AZURE: {"trainingType": _TRAINING_TYPES},
    Dialect.TRAINER: {
        "rank": Number(1, 512, is_whole=True),
        "alpha": Number(0, 2048, above=True),
        "dropout": Number(0, 0.5),
        "targets": Modules(),
        "learning_rate": Number(0, 1, above=True),
        "max_length": Number(8, 10_000_000, is_whole=True),
        "quantization": Choice(("4bit",)),
        "full": Flag(),
        "packing": Flag(),
        "shard": Flag(),
        "warmup": Number(0, 0.5),
    },
    Dialect.MANTLE: {},
    Dialect.NEBIUS: {
        "learning_rate": Number(0, 1, above=True),
        "full": Flag(),
        "lora_r": Number(8, 128, is_whole=True),
        "lora_alpha": Number(0, 2048, above=True),
        "lora_dropout": Number(0, 0.5),
        "packing": Flag(),
        "context_length": Number(8192, 131_072, is_whole=True),
        "warmup_ratio": Number(0, 1),
        "weight_decay": Number(0, 1),
        "max_grad_norm": Number(0, 100, above=True),
    },
    Dialect.FIREWORKS: {
        "learning_rate": Number(0, 1, above=True),
        "rank": Number(1, 512, is_whole=True),
        "max_length": Number(8, 10_000_000, is_whole=True),
        "warmup_steps": Number(0, 1_000_000, is_whole=True),
        "weight_decay": Number(0, 1),
        "early_stop": Flag(),
    },
    Dialect.TOGETHER: _TOGETHER,
}
_FIREWORKS_GPUS = Choice(
    ("NVIDIA_L4_24GB", "NVIDIA_A100_80GB", "NVIDIA_H100_80GB", "NVIDIA_H200_141GB", "NVIDIA_B200_180GB")
)
_SKUS = Choice(
    (
        "Standard",
        "GlobalStandard",
        "DeveloperTier",
        "DataZoneStandard",
        "ProvisionedManaged",
        "GlobalProvisionedManaged",
        "DataZoneProvisionedManaged",
    )
)
_MOST_REPLICAS = 16  # one request is not to start a hall of machines
DEPLOYMENT_OPTIONS: Mapping[Dialect, Mapping[str, Option]] = {
    Dialect.AZURE: {
        "sku": _SKUS,
        "capacity": Number(1, 10_000, is_whole=True),
        "format": Word(),
        "version": Word(),
    },
    Dialect.FIREWORKS: {
        "accelerator": _FIREWORKS_GPUS,
        "accelerators": Number(1, 16, is_whole=True),
        "min_replicas": Number(0, _MOST_REPLICAS, is_whole=True),
        "max_replicas": Number(1, _MOST_REPLICAS, is_whole=True),
    },
    Dialect.TOGETHER: {
        "hardware": Word(),
        "min_replicas": Number(1, _MOST_REPLICAS, is_whole=True),
        "max_replicas": Number(1, _MOST_REPLICAS, is_whole=True),
        "inactive_timeout": Number(1, 100_000, is_whole=True),
    },
}
"""What a new deployment takes as `provider_options`, for the dialects whose models are deployed."""
NAMES = {name for options in OPTIONS.values() for name in options}


@dataclass(frozen=True)
class Problem:
    """`name`: the option that is wrong. `is_unknown`: the provider has no such option, else its value is wrong."""

    name: str
    is_unknown: bool
    sentence: str


Known = Mapping[Dialect, Mapping[str, Option]]


def find_problem(dialect: Dialect, options: Mapping[str, Any], table: Known = OPTIONS) -> Problem | None:
    """Return the first option that a provider of this dialect does not take, or None."""
    known = table.get(dialect, {})
    for name, given in options.items():
        if name not in known:
            others = f"it knows {', '.join(known)}" if known else "it knows none"
            return Problem(name, True, f"is no option of a provider that speaks {dialect}: {others}")
        if known[name].value(given) is WRONG:
            return Problem(name, False, f"must be {known[name].sentence()}")
    return None


def as_sent(dialect: Dialect, options: Mapping[str, Any], table: Known = OPTIONS) -> dict[str, Any]:
    """Return options in which `find_problem` found nothing, with each value in the case that the provider takes."""
    return {name: table[dialect][name].value(given) for name, given in options.items()}
