"""Reads the file of a job's metrics, in whatever form: no document says it.

Lines of JSON, flat or nested, or a table with a header, with the names that training libraries use.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from worker.providers.rest import google

MAX_LINE_BYTES = 64 << 10  # of a line that has not ended: no line of metrics is that long
MAX_LINES = 100_000  # what is read at each look, in a second or two; no job has so many steps
NAMES = {
    "step": ("step", "global_step", "train_global_step", "train_step"),
    "total_steps": ("total_steps", "max_steps"),
    "train_loss": ("train_loss", "loss", "training_loss"),
    "train_mean_token_accuracy": ("train_mean_token_accuracy", "mean_token_accuracy", "train_accuracy", "accuracy"),
    "valid_loss": ("valid_loss", "eval_loss", "validation_loss", "val_loss"),
    "valid_mean_token_accuracy": ("valid_mean_token_accuracy", "eval_mean_token_accuracy", "eval_accuracy"),
}
"""OpenAI's names, which charts know, and those that mean the same."""
COUNTS = ("step", "total_steps")
_TIMES = ("timestamp", "time", "created_at", "create_time")
_NO_NAME = re.compile("[^a-z0-9]+")


class Row(NamedTuple):
    """`number`: of its line in the file. `data` has `step`, and at least one more of `NAMES`."""

    number: int
    time: Any
    data: dict[str, Any]


def rows(chunks: Iterable[bytes], *, is_whole: bool) -> Iterator[Row]:
    """What can be used of the file; `is_whole`: its last line has ended too."""
    header: list[str] | None = None
    for number, line in enumerate(islice(_lines(chunks, is_whole=is_whole), MAX_LINES)):
        text = line.decode("utf-8", "replace").strip()
        if number == 0 and text and text[0] not in "[{":
            header = _fields(text)
            continue
        found = _flat(_decoded(text) if header is None else _cells(header, text))
        data = {name: value for name in NAMES if (value := _value(name, found)) is not None}
        if "step" in data and len(data) > 1:
            yield Row(number, next((found[name] for name in _TIMES if name in found), None), data)


def _lines(chunks: Iterable[bytes], *, is_whole: bool) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *ended, rest = (rest + chunk).split(b"\n")
        yield from ended
        if len(rest) > MAX_LINE_BYTES:
            return
    if is_whole:
        yield rest


def _decoded(text: str) -> Any:
    try:
        return json.loads(text.lstrip("[").rstrip(",]"))
    except (ValueError, RecursionError):
        return None


def _cells(header: list[str], text: str) -> dict[str, Any]:
    return {name: _read(cell) for name, cell in zip(header, _fields(text), strict=False)}


def _fields(text: str) -> list[str]:
    """Of a line of a table; none if it cannot be one."""
    try:
        return next(csv.reader([text]), [])
    except csv.Error:
        return []


def _read(cell: str) -> Any:
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() else number


def _flat(value: Any) -> dict[str, Any]:
    """`{"train": {"loss": 1}}` and `{"train/loss": 1}` as `{"train_loss": 1}`."""
    found: dict[str, Any] = {}
    for key, inner in value.items() if isinstance(value, dict) else ():
        name = _NO_NAME.sub("_", key.lower()).strip("_")
        if isinstance(inner, dict):
            found |= {f"{name}_{_NO_NAME.sub('_', each.lower()).strip('_')}": most for each, most in inner.items()}
        else:
            found[name] = inner
    return found


def _value(name: str, found: dict[str, Any]) -> int | float | None:
    given = next((found[each] for each in NAMES[name] if found.get(each) is not None), None)
    if name in COUNTS:
        return google.number(given)
    if not isinstance(given, int | float) or isinstance(given, bool) or not -1e300 < given < 1e300:
        return None  # NaN is not between the two either
    return given
