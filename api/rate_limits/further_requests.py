"""Counts work that one request does for several."""

import time

from starlette.requests import Request

from api.rate_limits.counters import Kind, whole_seconds
from api.rate_limits.middleware import STATE, Metered
from shared.errors import RateLimited


async def count_another(request: Request) -> None:
    """Count one request more, for work that would be a request of its own elsewhere. Raises `RateLimited`."""
    metered: Metered = request.scope[STATE]
    another: dict[Kind, int] = {"requests": 1, "bytes": 0}
    if metered.limits and (refusal := await metered.limits.take(metered.cache.counters, another, time.time())):
        raise RateLimited(str(refusal), retry_after=whole_seconds(refusal.retry_in))
