"""Query strings of the pages' own addresses, in which the state of a list is: its filters and its place."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams


def without(query: QueryParams, *names: str) -> str:
    """Return the query string without these parameters."""
    return urlencode([(name, value) for name, value in query.multi_items() if name not in names])


def only(query: QueryParams, *names: str) -> str:
    """Return the query string with only these parameters."""
    return urlencode([(name, value) for name, value in query.multi_items() if name in names])


def with_value(query: QueryParams, name: str, value: str) -> str:
    """Return the query string with this parameter, once."""
    others = [(each, kept) for each, kept in query.multi_items() if each != name]
    return urlencode([*others, (name, value)])


FILTERS: dict[str, Callable[..., Any]] = {"without": without, "only": only, "with_value": with_value}
