"""Field types for JSON that callers choose freely: bounded objects and OpenAI's metadata."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field

MAX_DEPTH = 32


def _readable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Raises `ValueError` for values that clients could not parse again: NaN, infinity, and very deep nesting."""
    if depth == 0:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinity are not JSON")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _readable(inner, depth - 1)
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_readable)]

Metadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
