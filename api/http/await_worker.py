"""Waits, within a request, until a worker has written its result to the database."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import anyio
from starlette.concurrency import run_in_threadpool

POLL_INTERVAL_SECONDS = 0.05
Found = TypeVar("Found")


async def wait_for(find: Callable[[], Found | None], timeout: timedelta) -> Found | None:
    """Call `find` in a thread every 50 ms and return its first result; None after `timeout`."""
    give_up_at = time.monotonic() + timeout.total_seconds()
    while time.monotonic() < give_up_at:
        await anyio.sleep(POLL_INTERVAL_SECONDS)
        found = await run_in_threadpool(find)
        if found is not None:
            return found
    return None
