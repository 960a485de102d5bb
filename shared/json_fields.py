"""Field types for what callers choose freely: bounded objects, OpenAI's metadata, texts that must match a pattern."""

import math
import re
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

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


@dataclass(frozen=True, slots=True)
class Pattern:
    """Annotates a `str`, which must match the expression as a whole; else the error is the sentence.

    An expression, which OpenAPI shows, would tell a caller little.
    """

    expression: str
    sentence: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^{self.expression}$"}

    def _checked(self, text: str) -> str:
        if re.fullmatch(self.expression, text) is None:
            raise ValueError(self.sentence)
        return text
