"""Tells from the bytes of JSON what decoding hides: repeated keys, long numbers, deep nesting."""

import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import msgspec
from pydantic_core import SchemaValidator, core_schema

from shared.datasets.validation.rules.limits import rules

# Possessive quantifiers never backtrack, so that no line can make the search slow.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
STRUCTURE = re.compile(_TEXT + rb"|[\[\]{}]", re.DOTALL)
_TEXTS, _RUNS = re.compile(_TEXT, re.DOTALL), re.compile(rb"\[+|\]+")
_ESCAPED_COLON = re.compile(rb"\\u003[aA]")
# Of UTF-8, several times as fast as a search by Python.
_has_escaped_colon = SchemaValidator(
    core_schema.str_schema(pattern=r"\\u003[aA]", regex_engine="rust-regex")
).isinstance_python
_ALL_DIGITS_0 = bytes.maketrans(b"123456789+-.eE", b"0" * 14)
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_SMALL = 16  # innermost brackets are cut off while there is one in as many; the few that are left are counted
_encode = msgspec.json.Encoder().encode


def encoded_once(value: Any, line: bytes) -> bytes | None:
    """The value as msgspec encodes it; None if the line from which it was decoded may repeat a key in one object.

    Decoding keeps one of the two, so the encoded value has fewer colons than the line.
    """
    encoded = _encode(value)
    return encoded if _colons(encoded) == _colons(line) else None


def _colons(line: bytes) -> int:
    colons = line.count(b":")
    if _has_escaped_colon(line):
        colons += len(_ESCAPED_COLON.findall(line.replace(b"\\\\", b"")))
    return colons


def has_long_number(line: bytes) -> bool:
    """Whether a number outside of texts may have more digits than allowed."""
    digits = b"0" * rules().ours.digits
    return digits in line.translate(_ALL_DIGITS_0) and digits in _TEXTS.sub(b"", line).translate(_ALL_DIGITS_0)


def _without_texts(line: bytes) -> bytes:
    """The brackets of a line that are not in texts."""
    marks = line.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_MARKS).replace(b'""', b"")
    return b"".join(marks.split(b'"')[::2])


def some_may_be_deep(lines: Iterable[bytes]) -> bool:
    """Whether one of some lines that are sound JSON may be nested deeper than allowed."""
    shortest = 2 * rules().ours.depth  # each level takes two brackets
    return any(may_be_deep(line) for line in lines if len(line) > shortest)


def may_be_deep(line: bytes) -> bool:
    """Whether a line may be nested deeper than allowed; exact if its brackets match."""
    limit = rules().ours.depth
    if line.count(b"[") + line.count(b"{") <= limit:
        return False
    brackets = _without_texts(line).translate(_SQUARE)
    if brackets.count(b"[") <= limit:
        return False
    cut_off = 0
    while _SMALL * brackets.count(b"[]") > len(brackets):
        brackets = brackets.replace(b"[]", b"")
        cut_off += 1
    runs = _RUNS.findall(brackets)
    return cut_off + max(accumulate(len(run) if run[0] == ord("[") else -len(run) for run in runs), default=0) > limit
