"""What a client's commands print: one JSON document, JSON lines, tables and fields of at most 100 columns."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from cli.api_client import Found
from cli.columns import at, print_table, printable, say

WIDTH = 100
LEAST = 8  # columns of a cell that is cut off
NONE = "–"


def print_document(document: Any) -> None:
    print(json.dumps(document, indent=2))


def print_line(document: Found) -> None:
    """One of the lines of a stream, at once: who reads it must not wait for a buffer to be full."""
    print(json.dumps(document), flush=True)


def print_list(
    data: list[Found], has_more: bool, titles: Sequence[str], rows: list[list[str]], *, as_json: bool, none: str
) -> None:
    """A page of a list; `none` is said if it is empty. What is to be asked for the rest goes to standard error."""
    if as_json:
        print_document({"object": "list", "data": data, "has_more": has_more})
        return
    if not rows:
        say(none)
        return
    print_fitting(titles, rows)
    if has_more:
        say(f"There are more: --after {data[-1]['id']}, or --all.")


def print_fitting(titles: Sequence[str], rows: list[list[str]]) -> None:
    """A table whose last column is cut off where the line would be too long."""
    before = sum(2 + max(map(len, column)) for column in zip(*[titles[:-1], *(row[:-1] for row in rows)], strict=True))
    print_table(titles, [[*row[:-1], shortened(row[-1], max(WIDTH - before, LEAST))] for row in rows])


def print_fields(fields: Iterable[tuple[str, str | None]]) -> None:
    """A line for each field that has a value; long values go on under their beginning."""
    known = [(name, printable(value)) for name, value in fields if value]
    indent = max(len(name) for name, _ in known) + 2
    for name, value in known:
        lines = textwrap.wrap(value, WIDTH - indent, break_on_hyphens=False, break_long_words=False)
        print(name.ljust(indent) + f"\n{' ' * indent}".join(lines))


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def short_time(seconds: int | None) -> str:
    """In the time zone of this machine: the day and the minute, or the date if that was in another year."""
    if seconds is None:
        return NONE
    time = at(seconds)
    return f"{time:%d %b %Y}" if time.year != datetime.now().astimezone().year else f"{time:%d %b %H:%M}"


def clock(seconds: int) -> str:
    return f"{at(seconds):%d %b %H:%M:%S}"


def duration(seconds: int) -> str:
    minutes, hours = seconds // 60, seconds // 3600
    if seconds < 120:
        return f"{seconds} s"
    return f"{minutes} min" if minutes < 120 else f"{hours} h {minutes % 60} min"


def size(bytes: int) -> str:
    amount, unit = float(bytes), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{bytes:,} B" if unit == "B" else f"{amount:.1f} {unit}"


def money(amount: str | float, currency: str) -> str:
    """Cents; fractions of them if it is less than one unit."""
    return f"{float(amount):,.{2 if float(amount) >= 1 else 4}f} {currency}"
