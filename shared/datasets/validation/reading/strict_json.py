"""Reads a line of JSON and finds what fast parsers accept silently: repeated keys, NaN, lone surrogates, NUL."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from shared.datasets.validation.findings.finding import Finding, UnreadableLine
from shared.datasets.validation.reading.escapes import with_whole_pairs
from shared.datasets.validation.reading.hidden import STRUCTURE, encoded_once, has_long_number, may_be_deep
from shared.datasets.validation.reading.shapes import broken_line
from shared.datasets.validation.rules.limits import rules


class StrictValue(NamedTuple):
    value: Any
    findings: list[Finding]


_decode = msgspec.json.Decoder().decode
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1, ord('"'): 0}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SUSPECT = re.compile(r"[\0\ud800-\udfff]")


def read_strictly(line: bytes) -> StrictValue:
    """The value of a line, and findings that do not prevent reading it. Raises `UnreadableLine`.

    msgspec reads the line first, which is much faster; only a line that it refuses, or about which it may have hidden
    something, is read by `json`. Half a surrogate pair is read as U+FFFD.
    """
    whole = with_whole_pairs(line)
    try:
        value = _decode(whole)
        is_sound = not has_long_number(whole)
        if is_sound and encoded_once(value, whole) is None:
            value, repeated = _with_repeated_keys(whole.decode())
        else:
            repeated = []
    except (ValueError, RecursionError):
        is_sound = False
    if not is_sound:
        value, repeated = _read_with_json(line)
    elif may_be_deep(line):
        _refuse_depth(line)
    has_suspects = whole is not line or b"\\u0000" in line
    return StrictValue(value, [*repeated, *(_suspect_characters(json.loads(line.decode())) if has_suspects else ())])


def _with_repeated_keys(text: str, **hooks: Any) -> StrictValue:
    repeated: list[tuple[dict[str, Any], str]] = []
    value = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, repeated), **hooks)
    return StrictValue(value, list(_repeated(value, repeated)) if repeated else [])


class RepeatedKeys:
    """Counts how often a key is there twice with different values, in sound JSON."""

    def __init__(self) -> None:
        self._decode = json.JSONDecoder(object_pairs_hook=self._object).decode
        self._times = 0

    def count(self, text: str) -> tuple[Any, int]:
        """The value, and how often.

        Raises `ValueError` if objects or lists are among those values: what is wrong in them would count too.
        """
        self._times = 0
        return self._decode(text), self._times

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            dropped = [pair for pair in pairs if pair[1] is not found[pair[0]]]
            if not {type(value) for _, value in dropped}.isdisjoint((dict, list)):
                raise ValueError("a repeated key of an object or a list")
            self._times += len({key for key, value in dropped if value != found[key]})
        return found


def _read_with_json(line: bytes) -> StrictValue:
    """Read a line that msgspec refuses, and say what is wrong with it."""
    text = _decoded(line.rstrip())
    if may_be_deep(line):
        _refuse_depth(line)
    try:
        return _with_repeated_keys(text, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_float)
    except json.JSONDecodeError as error:
        raise _broken(error) from None


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        byte = line[error.start]
        message = f"the byte 0x{byte:02x} at column {error.start + 1} is not valid UTF-8"
        raise UnreadableLine("invalid_utf8", message, error.start) from None


def _refuse_depth(line: bytes) -> None:
    limit, depth = rules().ours.depth, 0
    for match in STRUCTURE.finditer(line):
        depth += _STEPS[line[match.start()]]
        if depth > limit:
            message = f"nested deeper than {limit} levels at column {match.start() + 1}"
            raise UnreadableLine("nested_too_deeply", message, match.start())


def _object(pairs: list[tuple[str, Any]], repeated: list[tuple[dict[str, Any], str]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # A key repeated with the same value is harmless: every reader gets the same.
        repeated += [(found, key) for key in dict.fromkeys(key for key, value in pairs if value != found[key])]
    return found


def _refuse_constant(name: str) -> None:
    raise UnreadableLine("non_finite_number", f"{name} is not a JSON value")


def _integer(digits: str) -> int:
    if len(digits) > rules().ours.digits:
        raise UnreadableLine(
            "number_too_long", f"the number has {len(digits):,} digits, but at most {rules().ours.digits} are allowed"
        )
    return int(digits)


def _float(text: str) -> float:
    if len(text) > rules().ours.digits:
        raise UnreadableLine(
            "number_too_long", f"the number has {len(text):,} characters, but at most {rules().ours.digits} are allowed"
        )
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise UnreadableLine("non_finite_number", f"the number {text[:40]} is too large")
    return number


def _broken(error: json.JSONDecodeError) -> UnreadableLine:
    offset = len(error.doc[: error.pos].encode())
    if known := broken_line(error.doc):
        return UnreadableLine("invalid_json", f"not JSON lines: {known[0]}", offset, known[1])
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if before.endswith(",") and after[:1] in ("}", "]", ""):
        return UnreadableLine(
            "invalid_json", f"not JSON: a trailing comma at column {len(before)}", offset, "Remove the comma"
        )
    if error.msg == "Extra data" and after.rstrip() == ",":
        return UnreadableLine(
            "invalid_json", "not JSON lines: a trailing comma after the object", offset, "Remove the comma"
        )
    if after.startswith("\ufeff"):
        message = f"not JSON: a byte order mark at column {error.pos + 1}"
        return UnreadableLine("invalid_json", message, offset, "Remove the byte order mark")
    hint = None
    if not before and after[:1] not in ("{", "["):
        hint = "Write one JSON object per line; `./tunery datasets convert` converts a CSV file"
    what = error.msg[0].lower() + error.msg[1:].removesuffix(" at")
    return UnreadableLine("invalid_json", f"not JSON: {what} at column {error.pos + 1}", offset, hint)


def _repeated(value: Any, repeated: list[tuple[dict[str, Any], str]]) -> Iterator[Finding]:
    keys: dict[int, list[str]] = {}
    for found, key in repeated:
        keys.setdefault(id(found), []).append(key)
    for place, inner in _strings_and_objects(value):
        for key in keys.get(id(inner), ()):
            yield Finding("duplicate_key", _path(place), f"the key `{key[:64]}` occurs twice, with different values")


def _suspect_characters(value: Any) -> Iterator[Finding]:
    for path, text in texts_with(_SUSPECT, value):
        if not text.isascii() and _SURROGATE.search(text):
            yield Finding("lone_surrogate", path, "the text has an escaped half of a surrogate pair")
        if "\0" in text:
            yield Finding("nul_character", path, "the text has the character NUL (U+0000)")


class Place(NamedTuple):
    """Where a value is: the place of what holds it, and its key or index there."""

    parent: "Place | None"
    key: str | int

    def path(self) -> str:
        keys, place = [self.key], self.parent
        while place is not None:
            keys.append(place.key)
            place = place.parent
        return "".join(["$", *map(_step, reversed(keys))])


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key[:64]}" if key.isidentifier() and key.isascii() else f"[{json.dumps(key[:64])}]"


def _path(place: Place | None) -> str:
    return place.path() if place else "$"


def _strings_and_objects(value: Any) -> Iterator[tuple[Place | None, Any]]:
    """Each string and each object inside a value, itself included, in the order of the line.

    Paths are not made here, because few of them are asked for.
    """
    waiting: list[tuple[Place | None, Any]] = [(None, value)]
    while waiting:
        place, inner = waiting.pop()
        if isinstance(inner, list):
            keyed: Iterable[tuple[str | int, Any]] = enumerate(inner)
        elif isinstance(inner, dict):
            yield place, inner
            keyed = inner.items()
        else:
            yield place, inner
            continue
        found = [(Place(place, key), each) for key, each in keyed if isinstance(each, str | list | dict)]
        waiting += reversed(found)


def texts_with(pattern: re.Pattern[str], value: Any) -> Iterator[tuple[str, str]]:
    """Each string inside a value, keys included, in which the pattern occurs, with its path."""
    for place, inner in _strings_and_objects(value):
        for text in (inner,) if isinstance(inner, str) else inner:
            if pattern.search(text):
                yield _path(place), text
