"""Reads one line of JSON slowly, and notices what fast parsers pass over: repeated keys, NaN, half characters."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from shared.datasets.validation.rules.limits import rules


class Finding(NamedTuple):
    """Something wrong in a line; `at` is the byte in the line, where that is known better than by the path."""

    code: str
    path: str | None
    message: str
    at: int | None = None
    hint: str | None = None


class Unreadable(Exception):
    """The line is no JSON."""

    def __init__(self, code: str, message: str, at: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.finding = Finding(code, None, message, at, hint)


class Read(NamedTuple):
    value: Any
    findings: list[Finding]


# Possessive, so that no text can make it remember or try again.
_STRUCTURE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
_HIDDEN = re.compile(rb"\\u003[aA]")
_ALL_DIGITS_0 = bytes.maketrans(b"123456789+-.eE", b"0" * 14)
_decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def read(line: bytes) -> Read:
    """The value of a line, with what is doubtful about it. Raises `Unreadable`."""
    try:
        value = _decode(line)
        is_sound = not (_has_long_number(line) or b"\\u0000" in line or repeats_a_key(value, line))
    except (ValueError, RecursionError):
        is_sound = False
    if not is_sound:
        return _read_strictly(line)
    _refuse_depth(line)
    return Read(value, [])


def repeats_a_key(value: Any, line: bytes) -> bool:
    """Whether what has been decoded may lack a key that is there twice: written again, it has fewer colons then."""
    return _HIDDEN.search(line) is not None or _encode(value).count(b":") != line.count(b":")


def _has_long_number(line: bytes) -> bool:
    return b"0" * rules().ours.digits in line.translate(_ALL_DIGITS_0)


def _read_strictly(line: bytes) -> Read:
    text = _text(line.rstrip())
    _refuse_depth(line)
    repeated: list[tuple[dict[str, Any], str]] = []
    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, repeated),
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise _broken(error) from None
    findings = list(_repeated(value, repeated)) if repeated else []
    if b"\\u" in line:
        findings += _doubtful_characters(value)
    return Read(value, findings)


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        byte = line[error.start]
        message = f"the byte 0x{byte:02x} at column {error.start + 1} is not UTF-8"
        raise Unreadable("invalid_utf8", message, error.start) from None


def _refuse_depth(line: bytes) -> None:
    limit = rules().ours.depth
    if line.count(b"[") + line.count(b"{") <= limit:
        return
    depth = 0
    for match in _STRUCTURE.finditer(line):
        symbol = match.group()
        depth += 1 if symbol in b"[{" else -1 if symbol in b"]}" else 0
        if depth > limit:
            message = f"nested deeper than {limit} levels at column {match.start() + 1}"
            raise Unreadable("nested_too_deeply", message, match.start())


def _object(pairs: list[tuple[str, Any]], repeated: list[tuple[dict[str, Any], str]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated += [(found, key) for key in found if any(k == key and v != found[key] for k, v in pairs)]
    return found


def _refuse_constant(name: str) -> None:
    raise Unreadable("non_finite_number", f"{name} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > rules().ours.digits:
        raise Unreadable("number_too_long", f"a number of {len(digits):,} digits")
    return int(digits)


def _float(text: str) -> float:
    if len(text) > rules().ours.digits:
        raise Unreadable("number_too_long", f"a number of {len(text):,} characters")
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise Unreadable("non_finite_number", f"the number {text[:40]} is too large")
    return number


def _broken(error: json.JSONDecodeError) -> Unreadable:
    at = len(error.doc[: error.pos].encode())
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if before.endswith(",") and after[:1] in ("}", "]", ""):
        return Unreadable("invalid_json", f"not JSON: a trailing comma at column {len(before)}", at, "Remove the comma")
    if error.msg == "Extra data" and after.rstrip() == ",":
        return Unreadable("invalid_json", "not JSON lines: a trailing comma after the object", at, "Remove the comma")
    hint = None
    if after.startswith("\ufeff"):
        hint = "Remove the byte order mark"
    elif not before and after[:1] not in ("{", "["):
        hint = "Each line must be a JSON object; `tunery datasets convert` makes lines of CSV"
    what = error.msg[0].lower() + error.msg[1:].removesuffix(" at")
    return Unreadable("invalid_json", f"not JSON: {what} at column {error.pos + 1}", at, hint)


def _repeated(value: Any, repeated: list[tuple[dict[str, Any], str]]) -> Iterator[Finding]:
    keys: dict[int, list[str]] = {}
    for found, key in repeated:
        keys.setdefault(id(found), []).append(key)
    for path, inner in walk(value):
        for key in keys.get(id(inner), ()):
            yield Finding("duplicate_key", path, f"the key `{key[:64]}` is there twice, with different values")


def _doubtful_characters(value: Any) -> Iterator[Finding]:
    for path, text in texts(value):
        if _SURROGATE.search(text):
            yield Finding("lone_surrogate", path, "an escaped half of a character (a lone surrogate)")
        if "\0" in text:
            yield Finding("nul_character", path, "the character NUL")


def walk(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Each value inside a value, with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, child(path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, f"{path}[{index}]")


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """Each string inside a value, keys included, with its path."""
    for path, inner in walk(value):
        if isinstance(inner, str):
            yield path, inner
        elif isinstance(inner, dict):
            yield from ((path, key) for key in inner)


def child(path: str, key: str) -> str:
    if key.isidentifier() and key.isascii():
        return f"{path}.{key[:64]}"
    return f"{path}[{json.dumps(key[:64])}]"
