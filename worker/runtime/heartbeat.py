"""Says that the step under way makes headway, so that its row stays its own, without knowing which row that is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[], None] | None] = ContextVar("headway", default=None)


def made() -> None:
    """Before each call to the provider: what a lease must be longer than is a single one of them."""
    if (listener := _listener.get()) is not None:
        listener()


@contextmanager
def told_to(listener: Callable[[], None]) -> Iterator[None]:
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)
