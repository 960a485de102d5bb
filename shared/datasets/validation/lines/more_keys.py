"""Reads lines with keys that the types do not know, such as an id, or with a key that is there twice."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.datasets.validation.reading.hidden import encoded_once
from shared.datasets.validation.reading.strict_json import RepeatedKeys
from shared.datasets.validation.rules.formats import CHAT, COMPLETION, PREFERENCE
from shared.datasets.validation.rules.structure import (
    CHAT_KEYS,
    COMPLETION_KEYS,
    INPUT_KEYS,
    PREFERENCE_KEYS,
    unrecognized_keys,
)

_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
_KEYS = {CHAT: CHAT_KEYS, PREFERENCE: PREFERENCE_KEYS, COMPLETION: COMPLETION_KEYS}
# With one of these keys a line has another format.
_OTHER_FORMATS = {PREFERENCE: frozenset({"messages", "prompt", "completion"}), COMPLETION: frozenset({"messages"})}


class WithMoreKeys(NamedTuple):
    """Lines as examples, as values and as msgspec encodes these; by line, the codes of unknown and repeated keys."""

    examples: list[Any]
    values: list[Any]
    encoded: bytes
    codes: list[list[str]]


def read_with_more_keys(
    lines: Sequence[bytes], data: bytes, format: str, decode: Callable[[bytes], Any]
) -> WithMoreKeys:
    """The lines with only their known keys decoded: `decode` reads a line, and leaves out all other keys.

    Raises `ValueError` if a line is no JSON, has another format, or is not of the type that `decode` makes.
    """
    values = list(map(_decode, lines))
    codes: list[list[str]] = [[] for _ in lines]
    encoded, decoded = encoded_once(values, data), lines
    if encoded is None:
        decoded, repeated = [*lines], RepeatedKeys()
        for index, line in enumerate(lines):
            if encoded_once(values[index], line) is None:
                values[index], times = repeated.count(line.decode())
                codes[index] += ["duplicate_key"] * times
                decoded[index] = _encode(values[index])
        encoded = _encode(values)
    known, others = _KEYS.get(format), _OTHER_FORMATS.get(format, frozenset())
    for value, of_line in zip(values, codes, strict=True):
        if type(value) is not dict or not value.keys().isdisjoint(others):
            raise ValueError("a line of another format")
        if known is not None:
            of_line += ["unrecognized_key"] * _unrecognized(value, known, format)
    return WithMoreKeys(list(map(decode, decoded)), values, encoded, codes)


def _unrecognized(value: dict[str, Any], known: frozenset[str], format: str) -> int:
    times = 0 if value.keys() <= known else len(unrecognized_keys(value, known))
    if format == PREFERENCE and type(value.get("input")) is dict:
        times += len(unrecognized_keys(value["input"], INPUT_KEYS))
    return times
