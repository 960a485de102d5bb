"""What a kind of provider takes for a job beside OpenAI's own fields: `provider_options` of a new job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.providers.dialects import Dialect

# Azure bills by it. Its documentation writes the values in more than one way, so case is not compared; older versions
# of its API take a number. Without it a job trains in the resource's own region, as `Standard`.
_TRAINING_TYPES = ("Standard", "GlobalStandard", "DeveloperTier")
_NUMBERS = range(3)

OPTIONS: Mapping[Dialect, Mapping[str, tuple[str, ...]]] = {
    Dialect.OPENAI: {},
    Dialect.AZURE: {"trainingType": _TRAINING_TYPES},
}
NAMES = {name for options in OPTIONS.values() for name in options}


@dataclass(frozen=True)
class Problem:
    """`name`: the option that is wrong. `is_unknown`: the provider has no such option, else its value is wrong."""

    name: str
    is_unknown: bool
    sentence: str


def find_problem(dialect: Dialect, options: Mapping[str, Any]) -> Problem | None:
    """Return the first option that a provider of this dialect does not take, or None."""
    known = OPTIONS[dialect]
    for name, value in options.items():
        if name not in known:
            others = f"it knows {', '.join(known)}" if known else "it knows none"
            return Problem(name, True, f"is no option of a provider that speaks {dialect}: {others}")
        if not _is_one_of(value, known[name]):
            return Problem(name, False, f"must be one of {', '.join(known[name])}")
    return None


def _is_one_of(value: Any, known: tuple[str, ...]) -> bool:
    if isinstance(value, str):
        return value.lower() in {each.lower() for each in known}
    return type(value) is int and value in _NUMBERS
