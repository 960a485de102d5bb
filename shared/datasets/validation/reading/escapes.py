"""Replaces halves of surrogate pairs, which JSON can escape but no UTF-8 can hold, and counts the texts with them."""

import re

from pydantic_core import SchemaValidator, core_schema

# The escape of the first half without the second behind it, or of the second half without the first before it.
_HALF = (
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)
_HALVES, _TEXTS_WITH_HALVES = re.compile(_HALF), re.compile(_HALF + rb'[^"]*+"')
# Of UTF-8; one pass of Rust's expression takes a fifth of the time of Python's searches for both.
_may_have_halves = SchemaValidator(
    core_schema.str_schema(pattern=r"\\u[dD]", regex_engine="rust-regex")
).isinstance_python


def with_whole_pairs(line: bytes) -> bytes:
    """The line itself, if it has no half of a surrogate pair, or is no UTF-8; else with U+FFFD, as decoders write it,
    for each."""
    if not _may_have_halves(line):
        return line
    written = _without_escaped_backslashes(line)
    return _HALVES.sub(rb"\\ufffd", written) if _HALVES.search(written) else line


def texts_with_halves(lines: bytes) -> int:
    """How many texts, keys included, have half a surrogate pair."""
    written = _without_escaped_backslashes(lines).replace(b'\\"', b"\\u0022")
    return len(_TEXTS_WITH_HALVES.findall(written))


def _without_escaped_backslashes(line: bytes) -> bytes:
    """Backslashes written as \\u005c, so that each that is left begins an escape."""
    return line.replace(b"\\\\", b"\\u005c")
