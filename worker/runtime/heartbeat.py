"""Lets code deep in a step report that the step is alive, without knowing which row the step holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_receiver: ContextVar[Callable[[], None] | None] = ContextVar("heartbeat_receiver", default=None)


def beat() -> None:
    """Report that the step under way is alive; outside a step this does nothing.

    Call it before each request to a provider and after each piece of a long answer, so that a lease has to outlast one
    request only, not a whole step.
    """
    if (receiver := _receiver.get()) is not None:
        receiver()


@contextmanager
def received_by(receiver: Callable[[], None]) -> Iterator[None]:
    """Call `receiver` at each `beat()` inside the block."""
    before = _receiver.set(receiver)
    try:
        yield
    finally:
        _receiver.reset(before)
