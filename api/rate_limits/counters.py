"""How much a project, a key or an address may still do in this minute: counted in Redis, for all processes together.

A process takes a share of what is left and hands it out by itself, so most requests ask nobody; the shares get smaller
as the limit comes nearer, and never add up to more than it. When Redis is away each process counts for itself.
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

from shared.broker.queue import silence
from shared.settings import get_settings

log = get_logger(__name__)
MINUTE = 60
SHARE = 20  # a process takes one part in so many of what is left
AT_ONCE = 60  # requests that a burst may have, however small the limit
EVENLY_AFTER = 2  # or so many seconds' worth of it; then they are spread over the minute
PATIENCE, SILENT_SECONDS = 0.25, 5.0
KEPT = 20_000
TELL_EVERY = 10.0
Kind = Literal["requests", "bytes", "failures"]
MOST: dict[Kind, int] = {"requests": 50, "bytes": 16 << 20, "failures": 1}  # and no more than this


class Counts:
    """Counts what all processes have taken in Redis; while Redis does not answer, what this process has taken."""

    def __init__(self) -> None:
        self._here: dict[str, tuple[float, int]] = {}  # until when a count is kept, and the count
        self._redis: Redis | None = None
        self._silent_until = 0.0

    async def add(self, key: str, amount: int) -> int:
        """The new total of `key`, which is kept for two minutes. Waits once for a Redis that does not answer."""
        if time.monotonic() >= self._silent_until and not silence.lasts:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await self._add_in_redis(f"limits/{key}", amount)
            except (RedisError, OSError, ValueError) as error:  # a TimeoutError is an OSError
                self._silent_until = time.monotonic() + SILENT_SECONDS
                silence.suspect()
                log.warning("Redis is away: each process counts requests by itself", reason=repr(error))
        return self._add_here(key, amount)

    async def _add_in_redis(self, key: str, amount: int) -> int:
        if self._redis is None:
            self._redis = Redis.from_url(
                get_settings().redis_url,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=PATIENCE,
                socket_timeout=PATIENCE,
            )
        async with self._redis.pipeline(transaction=True) as commands:  # both or neither: no count stays for ever
            commands.incrby(key, amount)
            commands.expire(key, 2 * MINUTE)
            return int((await commands.execute())[0])

    def _add_here(self, key: str, amount: int) -> int:
        now = time.monotonic()
        if key not in self._here:  # a new minute's first: a time to drop those of minutes that are over
            self._here = {each: count for each, count in self._here.items() if count[0] > now}
        total = self._here.get(key, (0.0, 0))[1] + amount
        self._here[key] = now + 2 * MINUTE, total
        return total

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Whose limit refuses, and in how many seconds it may be tried again."""

    allowance: "Allowance"
    again_in: float
    too_fast: bool = False

    def __post_init__(self) -> None:
        """A flood of refusals is one line in the log, every ten seconds."""
        allowance, now = self.allowance, time.monotonic()
        allowance.refused += 1
        if now >= allowance.told_at + TELL_EVERY:
            log.warning(
                "requests are refused: too many",
                owner=allowance.owner,
                kind=allowance.kind,
                limit=allowance.limit,
                refused=allowance.refused,
            )
            allowance.refused, allowance.told_at = 0, now

    def __str__(self) -> str:
        limit, again = self.allowance.limit, f"try again in {seconds(self.again_in)} s"
        if self.allowance.kind == "failures":
            return f"Too many requests with keys that are not known came from this address: {again}"
        if self.too_fast:
            return f"Too many requests at once: the limit of {limit} a minute is given out evenly; {again}"
        return f"The limit of {limit} {self.allowance.kind} a minute is reached: {again}"


def seconds(duration: float) -> int:
    """As `Retry-After` wants it: whole, and never too early."""
    return max(1, math.ceil(duration))


@dataclass(slots=True)
class Allowance:
    """One limit of one owner, as far as this process knows it: `taken` by all, and what is `left` of our share.

    `refused` counts what was refused since that stood in the log, at `told_at`.
    """

    owner: str
    kind: Kind
    limit: int
    minute: int = 0
    taken: int = 0
    left: int = 0
    paced_until: float = 0.0
    refused: int = 0
    told_at: float = 0.0
    waiting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def turn(self, now: float) -> None:
        """With the minute everything begins anew."""
        if self.minute != (minute := int(now // MINUTE)):
            self.minute, self.taken, self.left = minute, 0, 0

    def is_spent(self, now: float) -> bool:
        self.turn(now)
        return self.left <= 0 and self.taken >= self.limit

    def resets_in(self, now: float) -> float:
        return MINUTE - now % MINUTE

    @property
    def remaining(self) -> int:
        """What nobody has taken, and what we have not handed out; other processes' shares are not known here."""
        return max(0, self.limit - self.taken) + self.left

    def too_fast(self, now: float) -> float:
        """In how many seconds the next is no burst any more; 0 if it is none.

        A flood may not have its whole minute at once: others want to be answered too.
        """
        most = max(AT_ONCE, self.limit * EVENLY_AFTER // MINUTE)
        if self.kind != "requests" or self.limit <= most:
            return 0.0
        interval = MINUTE / self.limit
        early = self.paced_until - now - interval * (most - 1)
        if early <= 0:
            self.paced_until = max(self.paced_until, now) + interval
        return max(0.0, early)

    async def take(self, counts: Counts, cost: int, now: float) -> Refusal | None:
        """What is asked for, or why not. The request that reaches the limit of bytes is carried out to its end."""
        if self.is_spent(now):
            return Refusal(self, self.resets_in(now))
        if early := self.too_fast(now):
            return Refusal(self, early, too_fast=True)
        if self.left < cost:
            async with self.waiting:
                if self.left < cost and not await self._take_share(counts, cost - self.left):
                    return Refusal(self, self.resets_in(now))
        self.left = max(0, self.left - cost)
        return None

    async def _take_share(self, counts: Counts, needed: int) -> bool:
        minute = self.minute
        share = max(needed, min(MOST[self.kind], (self.limit - self.taken) // SHARE))
        total = await counts.add(f"{self.owner}/{self.kind}/{minute}", share)
        if minute != self.minute:  # it has turned meanwhile: this one request is the old minute's
            return True
        self.taken, before = total, total - share
        self.left += max(0, min(share, self.limit - before))
        return before < self.limit
