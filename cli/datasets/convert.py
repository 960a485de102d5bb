"""Makes chat lines of prompt/completion lines and of CSV, line by line, all or nothing."""

import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, TextIO

import msgspec

PAIRS = (
    ("prompt", "completion"),
    ("question", "answer"),
    ("input", "output"),
    ("instruction", "response"),
    ("user", "assistant"),
)
MAX_FIELD = 32 << 20


class Unconvertible(Exception):
    """A line of which no example can be made."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def convert_file(source: Path, target: Path | None, system: str | None) -> int:
    """The number of examples written. `target` is replaced only once all are; it may be the source."""
    examples = 0
    with _writer(target) as write:
        for number, row in _rows(source):
            write.write(msgspec.json.encode(_example(number, row, system)).decode() + "\n")
            examples += 1
    return examples


@contextmanager
def _writer(target: Path | None) -> Iterator[IO[str]]:
    if target is None:
        yield sys.stdout
        return
    with NamedTemporaryFile("w", dir=target.parent, prefix=f".{target.name}.", encoding="utf-8", delete=False) as file:
        unfinished = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            unfinished.chmod(0o666 & ~_umask())
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _rows(source: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with its line, from 1. What begins with a brace is JSON lines, anything else is CSV."""
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            start = file.read(4096).lstrip()
            file.seek(0)
            yield from _json_rows(file) if start.startswith("{") else _csv_rows(file)
    except UnicodeDecodeError as error:
        raise Unconvertible(1, f"the file is not UTF-8: {error.reason} at byte {error.start}") from None


def _json_rows(file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip("\ufeff \t\r\n"):
            continue
        try:
            row = msgspec.json.decode(line.removeprefix("\ufeff").encode())
        except (ValueError, RecursionError) as error:
            raise Unconvertible(number, f"not JSON: {error}") from None
        if not isinstance(row, dict):
            raise Unconvertible(number, "expected a JSON object")
        yield number, row


def _csv_rows(file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(MAX_FIELD)
    reader = csv.DictReader(file, strict=True)
    try:
        reader.fieldnames = [(name or "").strip("\ufeff ").lower() for name in reader.fieldnames or ()]
        for row in reader:
            if None in row:
                raise Unconvertible(reader.line_num, "the row has more fields than the header")
            yield reader.line_num, row
    except csv.Error as error:
        raise Unconvertible(reader.line_num, f"not CSV: {error}") from None


def _example(line: int, row: dict[str, Any], system: str | None) -> dict[str, Any]:
    if "messages" in row:
        return row
    pair = next((pair for pair in PAIRS if set(pair) <= row.keys()), None)
    if pair is None:
        known = ", ".join("/".join(pair) for pair in PAIRS)
        keys = ", ".join(str(key)[:40] for key in list(row)[:8])
        raise Unconvertible(line, f"none of the pairs {known} is there; there is: {keys}")
    question, answer = (_text(line, row, key) for key in pair)
    said = row.get("system") or system
    opening = [{"role": "system", "content": str(said)}] if said else []
    return {
        "messages": [*opening, {"role": "user", "content": question}, {"role": "assistant", "content": answer}],
    }


def _text(line: int, row: dict[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise Unconvertible(
            line, f"`{key}` is empty" if value in (None, "") or isinstance(value, str) else f"`{key}` is no text"
        )
    return value.strip()
