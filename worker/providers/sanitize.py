"""What a provider tells, as our tables can hold it: whatever it is, it must not end a job that is paid for."""

import math
import re
from datetime import datetime
from typing import Any

from shared.db.times import from_epoch

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL, and halves of surrogate pairs
_LATEST = 221845392000  # the year 9000: near the end of 9999 some time zones have no date any more


def text(told: object) -> str:
    return _UNSTORABLE.sub("\ufffd", str(told))


def some_text(told: object) -> str | None:
    """None unless it is a text that says something."""
    return text(told) if isinstance(told, str) and told else None


def is_id(told: object) -> bool:
    """Whether something can be asked for by it."""
    return told is not None and some_text(told) == told


def number(told: object, known: int | None = None, *, bits: int = 32) -> int | None:
    """`known` unless it is a whole number that a column of so many bits can hold, and not negative."""
    if isinstance(told, int | float) and told % 1 == 0 and 0 <= told < 2 ** (bits - 1):
        return int(told)
    return known


def time(told: object) -> datetime | None:
    """Of Unix seconds; None where it is something else, as milliseconds are."""
    return from_epoch(told) if isinstance(told, int | float) and 0 < told < _LATEST else None


def json(told: Any) -> Any:
    """The same, with every text in it storable, and None for what is no number of JSON's."""
    if isinstance(told, dict):
        return {text(name): json(value) for name, value in told.items()}
    if isinstance(told, list):
        return [json(value) for value in told]
    if isinstance(told, str):
        return text(told)
    return None if isinstance(told, float) and not math.isfinite(told) else told


def json_object(told: Any) -> dict[str, Any] | None:
    return json(told) if isinstance(told, dict) else None


def facts(job: dict[str, Any]) -> tuple[str, int | None, str | None]:
    """Of the provider's job, what its list tells by: its status, the trained tokens, and the model it made."""
    return text(job.get("status")), number(job.get("trained_tokens"), bits=64), some_text(job.get("fine_tuned_model"))
