"""Pauses Python's garbage collector while lines are checked."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Collect no garbage meanwhile: a block of lines makes very many lists, which it walks again and again, no cycles.

    Of two threads that pause it at once, the one that came first resumes it, maybe before the other ends: that costs
    time only.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
