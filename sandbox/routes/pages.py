"""Cuts a list into pages: what every list route takes, and what a wrong cursor is told."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

from fastapi import Query

from sandbox.errors import ApiError
from sandbox.wire import Item

After = Annotated[str | None, Query()]
Limit = Annotated[int, Query(ge=0, le=10_000)]


def cut(items: Sequence[Item], after: str | None, limit: int) -> tuple[list[Item], bool]:
    """The items behind the cursor, at most `limit` of them, and whether there are more."""
    start = 0 if after is None else _position(items, after) + 1
    page = list(islice(items, start, start + limit))
    return page, start + limit < len(items)


def _position(items: Sequence[Item], after: str) -> int:
    for position, item in enumerate(items):
        if item.id == after:
            return position
    raise ApiError(400, f"There is nothing with the id '{after}' to go on after.", code="invalid_value", param="after")
