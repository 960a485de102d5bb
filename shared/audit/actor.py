"""Holds, for the current request or command, who acts and which audit event a change of each table is."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

# Event type by table: `{"jobs": "fine_tuning.job.created"}`. Changes of other tables are not recorded.
Changes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Actor:
    """An API key, the operator at the command line, or an unknown caller with an IP `address`.

    `resource_id` is the last id in the path of the request, if it has one.
    """

    kind: Literal["api_key", "operator", "unknown"]
    api_key_id: str | None = None
    project_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    resource_id: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """Functions, called at the commit: when the request begins, neither its key nor its route is known yet."""

    actor: Callable[[], Actor]
    changes: Callable[[], Changes]


current_action: ContextVar[Action | None] = ContextVar("current_action", default=None)


@contextmanager
def acting_as_operator(changes: Changes) -> Iterator[None]:
    """Record the changes made in this context as those of the operator at the command line."""
    token = current_action.set(Action(lambda: Actor("operator"), lambda: changes))
    try:
        yield
    finally:
        current_action.reset(token)
