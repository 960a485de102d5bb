"""Reads lists page by page: as many objects as were asked for, and whether there are more."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from cli.api_client import Found

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]
After = Annotated[str | None, typer.Option(metavar="ID", help="Go on after this one, the last of the list before.")]
All = Annotated[bool, typer.Option("--all", help="All there are, however many.")]
LIMIT = 20
MOST = 100  # in one page, at OpenAI


def page_size(limit: int, all: bool) -> int:
    """One more than was asked for shows whether there are more."""
    return MOST if all else min(limit + 1, MOST)


def take(found: Iterable[Any], limit: int, all: bool) -> tuple[list[Found], bool]:
    """The objects as the server gave them, and whether there are more. `found` fetches its pages as it is read."""
    objects = [each.to_dict() for each in islice(_each_once(found), None if all else limit + 1)]
    return (objects, False) if all else (objects[:limit], len(objects) > limit)


def _each_once(found: Iterable[Any]) -> Iterator[Any]:
    """Ends where a server that ignores `after` begins anew."""
    seen: set[str] = set()
    for each in found:
        if each.id in seen:
            return
        seen.add(each.id)
        yield each
