"""Waits for what a worker does, on behalf of a caller who waits too."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import anyio
from starlette.concurrency import run_in_threadpool

LOOK_EVERY = 0.05
Found = TypeVar("Found")


async def wait_for(look: Callable[[], Found | None], patience: timedelta) -> Found | None:
    """What `look` finds, as soon as that is something; None if it finds nothing in time."""
    give_up_at = time.monotonic() + patience.total_seconds()
    while time.monotonic() < give_up_at:
        await anyio.sleep(LOOK_EVERY)
        found = await run_in_threadpool(look)
        if found is not None:
            return found
    return None
