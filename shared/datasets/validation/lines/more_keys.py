"""Reads lines with keys that the types do not know, such as an id, or with a key that is there twice."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.datasets.validation.reading.hidden import encoded_once
from shared.datasets.validation.reading.strict_json import count_repeated_keys
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
    lines: Sequence[bytes], data: bytes, format: str, convert: Callable[[Any], Any]
) -> WithMoreKeys:
    """The lines with only their known keys converted.

    Raises `ValueError` if a line is no JSON, has another format, or is not of the type that `convert` makes.
    """
    values = list(map(_decode, lines))
    codes: list[list[str]] = [[] for _ in lines]
    encoded = encoded_once(values, data)
    if encoded is None:
        for index, line in enumerate(lines):
            if encoded_once(values[index], line) is None:
                values[index], times = count_repeated_keys(line.decode())
                codes[index] += ["duplicate_key"] * times
        encoded = _encode(values)
    others = _OTHER_FORMATS.get(format, frozenset())
    for value, of_line in zip(values, codes, strict=True):
        if type(value) is not dict or not value.keys().isdisjoint(others):
            raise ValueError("a line of another format")
        of_line += _codes_of_keys(value, format)
    known = _KEYS.get(format, CHAT_KEYS)
    return WithMoreKeys([convert(_only_known(value, known)) for value in values], values, encoded, codes)


def _codes_of_keys(value: dict[str, Any], format: str) -> list[str]:
    if format not in _KEYS:
        return []
    unrecognized = len(unrecognized_keys(value, _KEYS[format]))
    if format == PREFERENCE and type(value.get("input")) is dict:
        unrecognized += len(unrecognized_keys(value["input"], INPUT_KEYS))
    return ["unrecognized_key"] * unrecognized


def _only_known(value: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """An example without the keys that are not known; the older `functions` are left, to be refused."""
    found = {key: each for key, each in value.items() if key in known}
    if type(found.get("input")) is dict:
        found["input"] = {key: each for key, each in found["input"].items() if key in CHAT_KEYS}
        _leave_tools(found["input"])
    _leave_tools(found)
    return found


def _leave_tools(example: dict[str, Any]) -> None:
    if "tools" in example:
        example["tools"] = msgspec.Raw(_encode(example["tools"]))
