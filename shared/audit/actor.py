"""Who is at work in this process, and what that changes is called: what the audit needs to know beside the rows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

# By the table whose rows change: `{"jobs": "fine_tuning.job.created"}`. Rows of other tables are no change of theirs.
Changes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Who:
    """An API key, the operator at the command line, or somebody of whom only the address is known.

    `named` is the id of the object that the request is about, if its address names one.
    """

    actor: Literal["api_key", "operator", "unknown"]
    api_key_id: str | None = None
    project_id: str | None = None
    address: str | None = None
    request_id: str | None = None
    named: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """What goes on: both are asked when a transaction is committed, as by then more is known than at the beginning."""

    who: Callable[[], Who]
    changes: Callable[[], Changes]


acting: ContextVar[Act | None] = ContextVar("acting", default=None)


@contextmanager
def operating(changes: Changes) -> Iterator[None]:
    """What the operator does at the command line."""
    token = acting.set(Act(lambda: Who("operator"), lambda: changes))
    try:
        yield
    finally:
        acting.reset(token)
