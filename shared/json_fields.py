"""Field types for JSON that callers choose freely: bounded objects and OpenAI's metadata."""

import math
from itertools import chain
from typing import Annotated, Any

from pydantic import AfterValidator, Field

MAX_DEPTH = 32
_CONTAINERS = {dict, list}


def _readable(value: Any) -> Any:
    """Raises `ValueError` for values that clients could not parse again: NaN, infinity, and very deep nesting."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):  # level by level: a call for each value takes three times as long
        kinds = set(map(type, level))
        if float in kinds and not all(math.isfinite(each) for each in level if type(each) is float):
            raise ValueError("NaN and infinity are not JSON")
        if kinds.isdisjoint(_CONTAINERS):
            return value
        inner = (each.values() if type(each) is dict else each for each in level if type(each) in _CONTAINERS)
        level = [*chain.from_iterable(inner)]
    raise ValueError(f"nested deeper than {MAX_DEPTH} levels")


JsonObject = Annotated[dict[str, Any], AfterValidator(_readable)]

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
