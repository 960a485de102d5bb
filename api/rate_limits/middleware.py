"""Refuses requests over a rate limit before any work is done for them, and reports the rest of the limit in headers."""

import time
from dataclasses import dataclass, field
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import pages
from api.http.errors import envelope
from api.http.middleware import finish_on_shutdown, request_id
from api.rate_limits.counters import MAX_CACHED_OWNERS, Counters, Kind, Limit, Refusal, whole_seconds
from shared.database import transaction
from shared.errors import RateLimited
from shared.projects import rate_limits
from shared.projects.rate_limits import Limits
from shared.settings import get_settings

METRICS = "/metrics"
SIGNED_PATHS = "/v1/provider_webhooks/"  # authenticated by a signature instead of an API key
CACHE_SECONDS = 4.0  # a changed limit takes effect within this time
REFRESH_SECONDS = 1.0  # how long one request has to read the limits again, before another one does
MAX_COUNTED_BYTES = 1 << 40  # a larger declared length is refused later, and would overflow the counter in Redis
ROWS_PER_REQUEST = 100
STATE = "tunery.rate_limit"  # key of a request's `Metered` in its ASGI scope


@dataclass(slots=True)
class CachedLimits:
    """The limits of a key and of its project, valid until `until` by the monotonic clock."""

    limits: list[Limit]
    until: float

    async def take(self, counters: Counters, cost: dict[Kind, int], now: float) -> Refusal | None:
        for limit in self.limits:
            amount = cost[limit.kind]
            if amount and (refusal := await limit.take(counters, amount, now)):
                return refusal
        return None


@dataclass(slots=True)
class LimitCache:
    """The limits that this process knows: by the digest of the `Authorization` header and the address, which a key may
    be bound to, and by owner and kind."""

    counters: Counters = field(default_factory=Counters)
    by_key: dict[bytes, CachedLimits] = field(default_factory=dict)
    by_owner: dict[str, Limit] = field(default_factory=dict)

    def limit(self, owner: str, kind: Kind, per_minute: int) -> Limit:
        key = f"{owner}/{kind}"
        found = self.by_owner.get(key)
        if found is None:
            if len(self.by_owner) >= MAX_CACHED_OWNERS:
                self.by_owner.clear()
            found = self.by_owner[key] = Limit(owner, kind, per_minute)
        found.per_minute = per_minute
        return found

    def put(self, digest: bytes, limits: dict[str, Limits]) -> CachedLimits:
        """Cache the limits of each owner (the project, the key) behind an `Authorization` header."""
        wanted: list[tuple[str, Kind, int | None]] = []
        for owner, each in limits.items():
            wanted += [(owner, "requests", each.requests_per_minute), (owner, "bytes", each.bytes_per_minute)]
        known = [self.limit(owner, kind, per_minute) for owner, kind, per_minute in wanted if per_minute is not None]
        if len(self.by_key) >= MAX_CACHED_OWNERS:
            self.by_key.clear()
        cached = self.by_key[digest] = CachedLimits(known, time.monotonic() + CACHE_SECONDS)
        return cached


@dataclass(slots=True)
class Metered:
    """One request: its key, its cost, and whether that has been counted yet."""

    cache: LimitCache
    digest: bytes
    cost: dict[Kind, int]
    limits: CachedLimits | None = None
    is_counted: bool = False
    is_authenticated: bool = False
    received_bytes: int = 0
    rows: int = 0


def mark_authenticated(request: Request) -> None:
    """The key is valid: a later 401 of this request does not count as a failed authentication."""
    metered: Metered = request.scope[STATE]
    metered.is_authenticated = True


def count_rows(request: Request, rows: int) -> None:
    """Let a list count as one request for each `ROWS_PER_REQUEST` rows that it returns."""
    metered: Metered = request.scope[STATE]
    metered.rows = rows


def present(request: Request, secret: str) -> None:
    """This key is presented otherwise than in the `Authorization` header: the request counts as its request."""
    metered: Metered = request.scope[STATE]
    metered.digest, metered.is_counted = _digest(f"Bearer {secret}", _address(request.scope)), False


async def admit(request: Request, project_id: str, key_id: str) -> None:
    """Count a request whose project has just been found, unless the middleware knew it. Raises `RateLimited`."""
    metered: Metered = request.scope[STATE]
    if metered.is_counted:
        return
    limits = await run_in_threadpool(_read_limits, project_id, key_id)
    metered.limits = metered.cache.put(metered.digest, limits)
    metered.is_counted = True
    if refusal := await metered.limits.take(metered.cache.counters, metered.cost, time.time()):
        raise RateLimited(str(refusal), retry_after=whole_seconds(refusal.retry_in))


def admit_admin(request: Request) -> None:
    """Remember a valid admin key: it has no limits, and is let in from an address that guesses keys."""
    metered: Metered = request.scope[STATE]
    metered.cache.put(metered.digest, {})


def _read_limits(project_id: str, key_id: str) -> dict[str, Limits]:
    with transaction(project_id) as session:
        return rate_limits.in_force(session, project_id, key_id)


class RateLimitMiddleware:
    """Outside of all that costs something, so that a refusal costs next to nothing.

    A request with a cached key is counted here, one with an unknown key once its project has been found (`admit`). An
    address with too many failed authentications is let in only with keys that this process has seen to be valid.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.cache = LimitCache()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_metered(scope["path"]):
            await self.app(scope, receive, finish_on_shutdown(self.cache.counters.close, send))
            return
        now, headers = time.time(), Headers(scope=scope)
        metered = self._meter(headers, _address(scope))
        scope[STATE] = metered
        if refusal := await self._count(metered, scope, now):
            await _refuse(refusal, metered, headers, now, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 401 and not metered.is_authenticated:
                    self.cache.by_key.pop(metered.digest, None)  # it may have been valid until just now
                    await self._count_failure(scope, now)
                await self._charge_rows(metered, now)
                MutableHeaders(scope=message).update(_limit_headers(metered.limits, now))
            await send(message)

        async def receive_counted() -> Message:
            message = await receive()
            metered.received_bytes += len(message.get("body", b""))
            return message

        await self.app(scope, receive_counted, send_counted)
        if metered.limits and (undeclared := metered.received_bytes - metered.cost["bytes"]) > 0:
            await metered.limits.take(self.cache.counters, {"requests": 0, "bytes": undeclared}, time.time())

    def _meter(self, headers: Headers, address: str) -> Metered:
        declared = headers.get("content-length", "")
        unknown = int("transfer-encoding" in headers)  # 1 byte for now: the rest is counted after it has arrived
        length = min(int(declared[:20]), MAX_COUNTED_BYTES) if declared.isdecimal() else unknown
        digest = _digest(headers.get("authorization", ""), address)
        return Metered(self.cache, digest, {"requests": 1, "bytes": length})

    async def _count(self, metered: Metered, scope: Scope, now: float) -> Refusal | None:
        limits = self.cache.by_key.get(metered.digest)
        if limits is None:
            return self._check_address(scope, now)
        if limits.until < time.monotonic():
            # This request reads the limits again in `admit`; until it has, the others go on with the cached ones. Else
            # every request of a flood would read them.
            limits.until = time.monotonic() + REFRESH_SECONDS
            metered.limits = limits  # for the headers of an answer that is refused before `admit`
            return None
        metered.limits, metered.is_counted = limits, True
        return await limits.take(self.cache.counters, metered.cost, now)

    async def _charge_rows(self, metered: Metered, now: float) -> None:
        more = (metered.rows - 1) // ROWS_PER_REQUEST
        for limit in metered.limits.limits if metered.limits and more > 0 else ():
            if limit.kind == "requests":
                await limit.charge(self.cache.counters, more, now)

    def _failure_limit(self, scope: Scope) -> Limit | None:
        per_minute = get_settings().rate_limits.failed_authentications_per_minute
        return None if per_minute is None else self.cache.limit(_address(scope), "failures", per_minute)

    def _check_address(self, scope: Scope, now: float) -> Refusal | None:
        failures = self._failure_limit(scope)
        if failures is None or not failures.is_spent(now) or scope["path"].startswith(SIGNED_PATHS):
            return None
        return Refusal(failures, failures.resets_in(now))

    async def _count_failure(self, scope: Scope, now: float) -> None:
        if failures := self._failure_limit(scope):
            await failures.take(self.cache.counters, 1, now)


def _is_metered(path: str) -> bool:
    return path.startswith("/v1/") or path == METRICS or (pages.is_page(path) and not pages.is_static(path))


def _digest(authorization: str, address: str) -> bytes:
    return sha256(f"{authorization} {address}".encode()).digest()


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


async def _refuse(refusal: Refusal, metered: Metered, request_headers: Headers, now: float, send: Send) -> None:
    """Answer 429 with the headers that inner middlewares would have added."""
    answer = envelope(429, str(refusal), RateLimited.code, type=RateLimited.type)
    headers = _limit_headers(metered.limits, now)
    headers |= {"retry-after": str(whole_seconds(refusal.retry_in)), "x-request-id": request_id(request_headers)}
    if metered.cost["bytes"] or "transfer-encoding" in request_headers:  # its body is not read
        headers["connection"] = "close"
    answer.headers["x-should-retry"] = "true"
    raw = answer.raw_headers + [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 429, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})


def _limit_headers(limits: CachedLimits | None, now: float) -> dict[str, str]:
    """Return OpenAI's `x-ratelimit-…` headers, of the key's or the project's limit, whichever has less left."""
    tightest: dict[Kind, Limit] = {}
    for each in limits.limits if limits else ():
        if each.kind not in tightest or each.remaining < tightest[each.kind].remaining:
            tightest[each.kind] = each
    headers = {}
    for kind, limit in tightest.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(limit.per_minute)
        headers[f"x-ratelimit-remaining-{kind}"] = str(limit.remaining)
        headers[f"x-ratelimit-reset-{kind}"] = f"{whole_seconds(limit.resets_in(now))}s"
    return headers
