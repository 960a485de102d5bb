"""Turns any value of a provider's answer into one that a table can hold, because no odd value may end a paid job."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.db.times import from_epoch

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # Postgres stores neither NUL nor half of a surrogate pair
MAX_ID_LENGTH = 512
_LATEST_EPOCH = 221845392000  # the year 9000: near the end of 9999 some time zones have no date


def text(value: object) -> str:
    return _UNSTORABLE.sub("\ufffd", str(value))


def some_text(value: object) -> str | None:
    """None unless the value is a text of at least one character."""
    return text(value) if isinstance(value, str) and value else None


def is_id(value: object) -> bool:
    """Whether the value can be stored unchanged and asked for again."""
    return isinstance(value, str) and len(value) <= MAX_ID_LENGTH and some_text(value) == value


def number(value: object, default: int | None = None, *, bits: int = 32) -> int | None:
    """The value as a whole number that is not negative and fits a signed column of `bits`; else `default`."""
    if isinstance(value, int | float) and value % 1 == 0 and 0 <= value < 2 ** (bits - 1):
        return int(value)
    return default


def time(value: object) -> datetime | None:
    """The time of Unix seconds; None for anything else. Milliseconds are out of range, and so are None too."""
    return from_epoch(value) if isinstance(value, int | float) and 0 < value < _LATEST_EPOCH else None


def moment(value: object) -> datetime | None:
    """The time of Unix seconds, or of a text in ISO 8601; None for anything else."""
    if not isinstance(value, str):
        return time(value)
    try:
        read = datetime.fromisoformat(value)
        return time((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def json(value: Any) -> Any:
    """The same JSON with storable texts; a float that JSON cannot write, as NaN, becomes None."""
    if isinstance(value, dict):
        return {text(name): json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [json(each) for each in value]
    if isinstance(value, str):
        return text(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def part(raw: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object in this field; an empty one for anything else."""
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def json_object(value: Any) -> dict[str, Any] | None:
    return json(value) if isinstance(value, dict) else None
