"""What the bodies of requests share: objects of a caller's own, within bounds."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field

MAX_DEPTH = 32


def _readable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Refuse what could be stored and then read by nobody: NaN is no JSON, and deep nesting ends a reader's stack."""
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
