"""What a kind of provider takes for a job beside OpenAI's own fields: `provider_options` of a new job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.providers.dialects import Dialect

# Azure bills by it. Public samples write the names in more than one case, and Azure refuses some of them: any case is
# accepted, and this one is sent. The samples also have the numbers 0 for `Standard`, and 1, which some models need.
# Without it a job trains in the resource's own region, as `Standard`.
_TRAINING_TYPES = ("Standard", "GlobalStandard", "developerTier", 0, 1)

OPTIONS: Mapping[Dialect, Mapping[str, tuple[str | int, ...]]] = {
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
        if _known_value(value, known[name]) is None:
            return Problem(name, False, f"must be one of {', '.join(map(str, known[name]))}")
    return None


def as_sent(dialect: Dialect, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which `find_problem` found nothing, with each value in the case that the provider takes."""
    return {name: _known_value(value, OPTIONS[dialect][name]) for name, value in options.items()}


def _known_value(value: Any, known: tuple[str | int, ...]) -> str | int | None:
    for each in known:
        if type(value) is type(each) and str(value).lower() == str(each).lower():
            return each
    return None
