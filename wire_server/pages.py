"""Pages of a list: the parameters `after` and `limit`, and the error for an unknown cursor."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

from fastapi import Query

from wire_server.answers import Item
from wire_server.errors import ApiError

After = Annotated[str | None, Query()]
Limit = Annotated[int, Query(ge=0, le=10_000)]


def cut(items: Sequence[Item], after: str | None, limit: int) -> tuple[list[Item], bool]:
    """At most `limit` items after the cursor, and whether more follow. Raises ApiError 400 for an unknown cursor."""
    start = 0 if after is None else _position(items, after) + 1
    page = list(islice(items, start, start + limit))
    return page, start + limit < len(items)


def _position(items: Sequence[Item], after: str) -> int:
    for position, item in enumerate(items):
        if item.id == after:
            return position
    raise ApiError(400, f"No item of this list has the id '{after}'.", code="invalid_value", param="after")
