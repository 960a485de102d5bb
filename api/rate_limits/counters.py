"""Counts what a project, an API key or an IP address has used of its limits in this minute, in Redis for all processes.

A process takes a share of what is left and spends it without asking Redis again, so most requests need no call. Shares
shrink as the limit comes nearer and never add up to more than the limit. Without Redis each process counts alone.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import Literal

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from structlog import get_logger

from shared.broker.queue import circuit_breaker
from shared.settings import get_settings

log = get_logger(__name__)
MINUTE_SECONDS = 60
SHARE_DIVISOR = 20  # a process takes this fraction of what is left as its share …
Kind = Literal["requests", "bytes", "failures"]
MAX_SHARE: dict[Kind, int] = {"requests": 50, "bytes": 16 << 20, "failures": 1}  # … and no more than this
MIN_BURST_REQUESTS = 60  # a burst may have this many requests, however small the limit,
BURST_SECONDS = 2  # or this many seconds' worth of the limit; beyond it, requests are spread evenly over the minute
REDIS_TIMEOUT_SECONDS = 0.25
REDIS_RETRY_SECONDS = 5.0
MAX_CACHED_OWNERS = 20_000
LOG_INTERVAL_SECONDS = 10.0


class Counters:
    """Totals of all processes, in Redis; while Redis is down, totals of this process."""

    def __init__(self) -> None:
        self._local: dict[str, tuple[float, int]] = {}  # by key: when it expires, and its total
        self._expire_local_at = 0.0
        self._redis: Redis | None = None
        self._redis_down_until = 0.0

    async def add(self, key: str, amount: int) -> int:
        """Add to a counter that expires after two minutes, and return its total.

        If Redis does not answer in 250 ms, it is not asked again for 5 seconds.
        """
        if time.monotonic() >= self._redis_down_until and not circuit_breaker.is_open:
            try:
                async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                    return await self._add_in_redis(f"limits/{key}", amount)
            except (RedisError, OSError, ValueError) as error:  # a TimeoutError is an OSError
                self._redis_down_until = time.monotonic() + REDIS_RETRY_SECONDS
                circuit_breaker.suspect()
                log.warning("Redis cannot be reached: each process counts requests alone", reason=repr(error))
        return self._add_locally(key, amount)

    async def _add_in_redis(self, key: str, amount: int) -> int:
        if self._redis is None:
            self._redis = Redis.from_url(
                get_settings().redis_url,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
                socket_timeout=REDIS_TIMEOUT_SECONDS,
            )
        async with self._redis.pipeline(transaction=True) as commands:  # both or neither, or a counter would stay
            commands.incrby(key, amount)
            commands.expire(key, 2 * MINUTE_SECONDS)
            return int((await commands.execute())[0])

    def _add_locally(self, key: str, amount: int) -> int:
        now = time.monotonic()
        if now >= self._expire_local_at:
            self._expire_local_at = now + MINUTE_SECONDS
            self._local = {each: count for each, count in self._local.items() if count[0] > now}
        total = self._local.get(key, (0.0, 0))[1] + amount
        self._local[key] = now + 2 * MINUTE_SECONDS, total
        return total

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The limit that refuses a request, and the seconds until it may be sent again."""

    limit: "Limit"
    retry_in: float
    is_burst: bool = False

    def __post_init__(self) -> None:
        """Log at most one line per limit in ten seconds, with the number of refusals since the last one."""
        limit, now = self.limit, time.monotonic()
        limit.refused += 1
        if now >= limit.logged_at + LOG_INTERVAL_SECONDS:
            log.warning(
                "requests are refused: a rate limit is reached",
                owner=limit.owner,
                kind=limit.kind,
                limit=limit.per_minute,
                refused=limit.refused,
            )
            limit.refused, limit.logged_at = 0, now

    def __str__(self) -> str:
        per_minute, again = self.limit.per_minute, f"try again in {whole_seconds(self.retry_in)} s"
        if self.limit.kind == "failures":
            return f"Too many requests with unknown API keys came from this IP address: {again}"
        if self.is_burst:
            return f"Too many requests at once: spread the {per_minute} allowed per minute evenly; {again}"
        return f"The limit of {per_minute} {self.limit.kind} per minute is reached: {again}"


def whole_seconds(duration: float) -> int:
    """Round up to whole seconds, at least 1, as `Retry-After` needs it."""
    return max(1, math.ceil(duration))


@dataclass(slots=True)
class Limit:
    """One limit of one owner, as this process knows it.

    `taken` is the total of all processes when Redis was last asked; `left` is the unspent rest of our share. `refused`
    counts the refusals since the last log line, at `logged_at`.
    """

    owner: str
    kind: Kind
    per_minute: int
    minute: int = 0
    taken: int = 0
    left: int = 0
    paced_until: float = 0.0
    refused: int = 0
    logged_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start_minute(self, now: float) -> None:
        """Reset the counts if a new minute has begun."""
        if self.minute != (minute := int(now // MINUTE_SECONDS)):
            self.minute, self.taken, self.left = minute, 0, 0

    def is_spent(self, now: float) -> bool:
        self.start_minute(now)
        return self.left <= 0 and self.taken >= self.per_minute

    def resets_in(self, now: float) -> float:
        """Seconds until the next minute."""
        return MINUTE_SECONDS - now % MINUTE_SECONDS

    @property
    def remaining(self) -> int:
        """What no process has taken, plus our own share. The unspent shares of other processes are not known here."""
        return max(0, self.per_minute - self.taken) + self.left

    def burst_delay(self, now: float) -> float:
        """Return the seconds until the next request exceeds no burst, or 0 and count this request.

        It keeps one caller from spending its whole minute in a second, while others wait for an answer.
        """
        burst = max(MIN_BURST_REQUESTS, self.per_minute * BURST_SECONDS // MINUTE_SECONDS)
        if self.kind != "requests" or self.per_minute <= burst:
            return 0.0
        interval = MINUTE_SECONDS / self.per_minute
        delay = self.paced_until - now - interval * (burst - 1)
        if delay > 0.001:  # less is rounding: Unix seconds in a float have steps of 0.2 µs, which add up
            return delay
        self.paced_until = max(self.paced_until, now) + interval
        return 0.0

    async def take(self, counters: Counters, cost: int, now: float) -> Refusal | None:
        """Spend `cost`, or return why not. A request is let in while anything is left, even if it exceeds the limit."""
        if self.is_spent(now):
            return Refusal(self, self.resets_in(now))
        if delay := self.burst_delay(now):
            return Refusal(self, delay, is_burst=True)
        if self.left < cost:
            async with self.lock:  # one call to Redis at a time: the others use the share that it brings
                if self.left < cost and not await self._take_share(counters, cost - self.left):
                    return Refusal(self, self.resets_in(now))
        self.left = max(0, self.left - cost)
        return None

    async def charge(self, counters: Counters, cost: int, now: float) -> None:
        """Count the rest of a request that was let in before its cost was known, even if that exceeds the limit."""
        self.start_minute(now)
        self.paced_until = max(self.paced_until, now) + cost * MINUTE_SECONDS / max(1, self.per_minute)
        async with self.lock:
            if self.left < cost:
                await self._take_share(counters, cost - self.left)
            self.left = max(0, self.left - cost)

    async def _take_share(self, counters: Counters, needed: int) -> bool:
        minute = self.minute
        share = max(needed, min(MAX_SHARE[self.kind], (self.per_minute - self.taken) // SHARE_DIVISOR))
        total = await counters.add(f"{self.owner}/{self.kind}/{minute}", share)
        if minute != self.minute:  # a new minute began while Redis was asked: the request counts for the old one
            return True
        self.taken, before = total, total - share
        self.left += max(0, min(share, self.per_minute - before))
        return before < self.per_minute
