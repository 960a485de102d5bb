"""Reads chat lines that have more keys beside their messages, such as an id: the types refuse what they do not know."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.datasets.validation.reading.hidden import encoded_once, has_long_number, may_be_deep
from shared.datasets.validation.rules.structure import unrecognized_keys

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


class WithMoreKeys(NamedTuple):
    """Lines as examples, as values and as msgspec encodes these; by line, the code of each key that is not known."""

    examples: list[Any]
    values: list[Any]
    encoded: bytes
    codes: list[list[str]]


def read_with_more_keys(
    lines: Sequence[bytes], data: bytes, known: frozenset[str], convert: Callable[[Any], Any]
) -> WithMoreKeys | None:
    """The lines with only their `known` keys converted; None if what is under others may be wrong.

    Raises `ValueError` if a line is no JSON, or not of the type that `convert` makes.
    """
    if has_long_number(data) or any(map(may_be_deep, lines)):
        return None
    values = list(map(_decode, lines))
    encoded = encoded_once(values, data)
    if encoded is None:
        return None
    examples = [convert(_only(value, known)) for value in values]
    codes = [["unrecognized_key" for _ in unrecognized_keys(value)] for value in values]
    return WithMoreKeys(examples, values, encoded, codes)


def _only(value: Any, known: frozenset[str]) -> Any:
    """An object with its `known` keys and, to be refused, with the older `functions`; any other value as it is."""
    if type(value) is not dict:
        return value
    found = {key: each for key, each in value.items() if key in known or key == "functions"}
    return found | {"tools": msgspec.Raw(_encode(found["tools"]))} if "tools" in found else found
