"""Detects from the first bytes of a file that it is not JSON lines at all, or the format of its lines."""

import json
from collections.abc import Collection
from typing import Any, BinaryIO

import msgspec

from shared.datasets.validation.findings.problem import Problem, problem
from shared.datasets.validation.reading.shapes import shape_of_file
from shared.datasets.validation.rules.formats import CHAT, REINFORCEMENT
from shared.datasets.validation.rules.row_shapes import shape_of_row
from shared.datasets.validation.rules.structure import format_of

SAMPLE_BYTES, SAMPLE_LINES = 1 << 18, 5_000

_MAGIC_BYTES = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK\x03\x04", "a zip archive or an Excel file"),
    (b"PAR1", "a Parquet file"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"ARROW1", "an Arrow file"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3\x00", "a SQLite database"),
)
_UTF32, _UTF16 = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"), (b"\xff\xfe", b"\xfe\xff")
_SEEN_BYTES = 64  # that show an encoding without a byte order mark


def sample(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(SAMPLE_BYTES)


def problem_of_file(start: bytes) -> Problem | None:
    """The problem of a file whose lines cannot be read at all; None for any other. `start` is its `sample`."""
    for magic, what in _MAGIC_BYTES:
        if start.startswith(magic):
            return problem("unsupported_file_type", f"The file is {what}, not JSON lines")
    if _is_zeros(start[:_SEEN_BYTES]):
        message, hint = "The file begins with zero bytes: what was in it is lost", "Write or copy the file again"
        return problem("unsupported_file_type", message, hint=hint)
    if encoding := _wide_encoding(start):
        return problem("not_utf8", f"The file is {encoding}, not UTF-8")
    if not start.strip().removeprefix(b"\xef\xbb\xbf"):
        return problem("empty_file", "The file is empty") if len(start) < SAMPLE_BYTES else None
    is_array = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["
    return shape_of_file(start) if is_array or not any(map(_is_example, _lines(start))) else None


def _lines(start: bytes) -> list[bytes]:
    """The first lines of a sample; those of examples are longer than 50 bytes, so that they are all of them."""
    return start.split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES]


def _is_example(line: bytes) -> bool:
    value = _decoded_line(line)
    return format_of(value) is not None and shape_of_row(value) is None


def _is_zeros(start: bytes) -> bool:
    """As a full disk or a copy that broke off leaves it."""
    return len(start) >= 8 and not any(start)


def _wide_encoding(start: bytes) -> str | None:
    """UTF-32 or UTF-16 by its byte order mark, or by the zeros beside each letter of plain text."""
    if start.startswith(_UTF32):
        return "UTF-32"
    if start.startswith(_UTF16):
        return "UTF-16"
    if len(seen := start[:_SEEN_BYTES]) < 8 or (any(seen[1::2]) and any(seen[::2])):
        return None
    return "UTF-32" if not any(seen[1::4]) and not any(seen[2::4]) else "UTF-16"


def format_of_file(start: bytes, methods: Collection[str]) -> str | None:
    """The most frequent format among the first lines; None if they show none.

    Reinforcement examples are chat examples without answers. A chat file is read as reinforcement if that is the only
    one of `methods`, or if it is one of them and no example of the sample has an answer.
    """
    values = [value for value in map(_decoded_line, _lines(start)[:-1] or [start]) if value is not None]
    found = [form for form in map(format_of, values) if form is not None]
    if not found:
        return None
    form = max(found, key=found.count)
    is_reinforcement = "reinforcement" in methods and (len(methods) == 1 or not any(map(_has_answer, values)))
    return REINFORCEMENT if form == CHAT and is_reinforcement else form


def _decoded_line(line: bytes) -> Any:
    """None for what is no JSON. `json` is asked too: it reads half a surrogate pair, which is a finding of its own."""
    line = line.removeprefix(b"\xef\xbb\xbf")
    for decode in (msgspec.json.decode, json.loads):
        try:
            return decode(line)
        except (ValueError, RecursionError):
            continue
    return None


def _has_answer(value: Any) -> bool:
    messages = value.get("messages") if isinstance(value, dict) else None
    roles = (
        [message.get("role") for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    )
    return not roles or roles[-1] != "user" or "assistant" in roles
