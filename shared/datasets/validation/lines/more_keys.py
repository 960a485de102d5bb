"""Reads chat lines that have more keys beside their messages, such as an id: the types refuse what they do not know."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.datasets.validation.reading.strict_json import has_long_number, repeats_a_key
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.rules.structure import unrecognized_keys

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode


class WithMoreKeys(NamedTuple):
    """Lines as values and as examples, and the code of each key that is not known, by line."""

    values: list[Any]
    examples: list[Any]
    codes: list[list[str]]


def read_with_more_keys(
    lines: Sequence[bytes], data: bytes, known: frozenset[str], convert: Callable[[Any], Any]
) -> WithMoreKeys | None:
    """The lines with only their `known` keys converted; None if what is under others may be wrong.

    Raises `ValueError` if a line is no JSON, or not of the type that `convert` makes.
    """
    most = rules().ours.depth
    if has_long_number(data) or any(line.count(b"[") + line.count(b"{") > most for line in lines):
        return None
    values = list(map(_decode, lines))
    if repeats_a_key(values, data):
        return None
    examples = [convert(_only(value, known)) for value in values]
    return WithMoreKeys(values, examples, [["unrecognized_key" for _ in unrecognized_keys(value)] for value in values])


def _only(value: Any, known: frozenset[str]) -> Any:
    """An object with its `known` keys and, to be refused, with the older `functions`; any other value as it is."""
    if type(value) is not dict:
        return value
    found = {key: each for key, each in value.items() if key in known or key == "functions"}
    return found | {"tools": msgspec.Raw(_encode(found["tools"]))} if "tools" in found else found
