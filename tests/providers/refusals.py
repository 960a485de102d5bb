"""How a create is refused on a wire, and what must come of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refused:
    """A fault of a create, and the error that comes of it; `hint` is a part of its message."""

    fault: Mapping[str, Any]
    code: str
    retryable: bool
    effect_unknown: bool
    hint: str


def _openai_refusal(name: str, retryable: bool, effect_unknown: bool, hint: str) -> Refused:
    return Refused({"refusal": name}, name, retryable, effect_unknown, hint)


OPENAI_REFUSALS = {
    refused.code: refused
    for refused in (
        _openai_refusal("training_not_available", False, False, "your operator can name another provider"),
        _openai_refusal("file_not_ready", True, False, "not ready yet"),
        _openai_refusal("daily_rate_limit_exceeded", True, False, "has reached the maximum of"),
        _openai_refusal("insufficient_quota", False, False, "has to be topped up"),
        _openai_refusal("rate_limit_exceeded", True, False, "Too many requests"),
        _openai_refusal("server_is_overloaded", True, True, "overloaded"),
    )
}
