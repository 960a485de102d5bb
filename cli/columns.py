"""Tables and times in the terminal: plain text, colour only where it can be seen and is wanted."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rich takes a tenth of a second to import, which the servers' commands need not wait for
    from rich.console import Console
    from rich.text import Text

COLOURS = dict.fromkeys(("succeeded", "enabled", "ok"), "green") | dict.fromkeys(("failed", "disabled", "fail"), "red")
COLOURS |= dict.fromkeys(("pending", "failing", "warn"), "yellow")


def screen() -> "Console":
    """Standard output. Long lines stay lines, so that they can be copied and cut."""
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))  # rich would go on writing bold and dim
    return Console(file=sys.stdout, highlight=False, soft_wrap=True, color_system=None if plain else "auto")


def say(sentence: str) -> None:
    """What is not data goes to standard error."""
    print(sentence, file=sys.stderr, flush=True)


def at(seconds: int) -> datetime:
    """A time of the wire in the time zone of this machine."""
    return utc(seconds).astimezone()


def utc(seconds: int) -> datetime:
    """A time of the wire, as the servers and their logs write it."""
    return datetime.fromtimestamp(seconds, UTC)


def printable(text: str) -> str:
    """What others bring in must not steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each column as wide as its widest cell; a state's word has its colour."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(titles, *shown, strict=True)]
    console = screen()
    console.print(_line(titles, widths, dim=True))
    for row in shown:
        console.print(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int], dim: bool = False) -> "Text":
    from rich.text import Text

    line = Text("", style="dim" if dim else "")
    for cell, width in zip(cells, widths, strict=True):
        line.append(cell.ljust(width), style=COLOURS.get(cell.partition(" ")[0], ""))
        line.append("  ")
    line.rstrip()
    return line
