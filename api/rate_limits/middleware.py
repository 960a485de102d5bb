"""Who sends too much is told so before any work is done for it: with how much it may send, and when again."""

import time
from dataclasses import dataclass, field
from hashlib import sha256

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import envelope
from api.http.middleware import before_the_end, request_id
from api.rate_limits.counters import KEPT, Allowance, Counts, Kind, Refusal, seconds
from shared.database import transaction
from shared.errors import RateLimited
from shared.projects import rate_limits
from shared.projects.rate_limits import Limits
from shared.settings import get_settings

OPENED_BY_SIGNATURES = "/v1/provider_webhooks/"
FRESH_SECONDS = 4.0  # and those of one that looks in vain: so soon a changed limit counts
LOOKING_SECONDS = 1.0
MOST_BYTES = 1 << 40  # more is refused by what comes next, and no number for Redis
STATE = "tunery.limiting"  # in the scope of a request


@dataclass(slots=True)
class Account:
    """What a key, and the project behind it, may do. `until` is how long we know its limits for sure."""

    allowances: list[Allowance]
    until: float

    async def take(self, counts: Counts, cost: dict[Kind, int], now: float) -> Refusal | None:
        for allowance in self.allowances:
            asked = cost[allowance.kind]
            if asked and (refusal := await allowance.take(counts, asked, now)):
                return refusal
        return None


@dataclass(slots=True)
class Ledger:
    """Every account that this process has met."""

    counts: Counts = field(default_factory=Counts)
    accounts: dict[bytes, Account] = field(default_factory=dict)
    allowances: dict[str, Allowance] = field(default_factory=dict)

    def allowance(self, owner: str, kind: Kind, limit: int) -> Allowance:
        key = f"{owner}/{kind}"
        found = self.allowances.get(key)
        if found is None:
            if len(self.allowances) >= KEPT:
                self.allowances.clear()
            found = self.allowances[key] = Allowance(owner, kind, limit)
        found.limit = limit
        return found

    def open(self, digest: bytes, limits: dict[str, Limits]) -> Account:
        wanted: list[tuple[str, Kind, int | None]] = []
        for owner, each in limits.items():
            wanted += [(owner, "requests", each.requests_per_minute), (owner, "bytes", each.bytes_per_minute)]
        allowances = [self.allowance(owner, kind, limit) for owner, kind, limit in wanted if limit is not None]
        if len(self.accounts) >= KEPT:
            self.accounts.clear()
        account = self.accounts[digest] = Account(allowances, time.monotonic() + FRESH_SECONDS)
        return account


@dataclass(slots=True)
class Metered:
    """One request: whose it is, what it costs, and whether that is paid."""

    ledger: Ledger
    digest: bytes
    cost: dict[Kind, int]
    account: Account | None = None
    is_paid: bool = False
    is_recognised: bool = False
    received: int = 0


def recognise(request: Request) -> None:
    """Its key is good: whatever else is wrong with the request, nobody guesses keys."""
    metered: Metered = request.scope[STATE]
    metered.is_recognised = True


async def admit(request: Request, project_id: str, key_id: str) -> None:
    """Count a request of which it has just been seen whose it is. Raises `RateLimited`."""
    metered: Metered = request.scope[STATE]
    if metered.is_paid:
        return
    limits = await run_in_threadpool(_limits, project_id, key_id)
    metered.account = metered.ledger.open(metered.digest, limits)
    metered.is_paid = True
    if refusal := await metered.account.take(metered.ledger.counts, metered.cost, time.time()):
        raise RateLimited(str(refusal), retry_after=seconds(refusal.again_in))


def admit_admin(request: Request) -> None:
    """An admin key has no limits, and is known from now on, also at an address where others have tried in vain."""
    metered: Metered = request.scope[STATE]
    metered.ledger.open(metered.digest, {})


def _limits(project_id: str, key_id: str) -> dict[str, Limits]:
    with transaction(project_id) as session:
        return rate_limits.in_force(session, project_id, key_id)


class RateLimitMiddleware:
    """Stands before everything else, so that a refusal costs next to nothing; tells each caller what it has left.

    A key that is known here pays at once, another when its project has been found (`admit`). An address from which
    keys were tried in vain too often is let in only with keys that were good before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.ledger = Ledger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, before_the_end(self.ledger.counts.close, send))
            return
        now, headers = time.time(), Headers(scope=scope)
        metered = self._meter(headers)
        scope[STATE] = metered
        if refusal := await self._refusal(metered, scope, now):
            await _refuse(refusal, metered, headers, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 401 and not metered.is_recognised:
                    self.ledger.accounts.pop(metered.digest, None)  # a key that is good no more is a stranger's
                    await self._count_failure(scope, now)
                MutableHeaders(scope=message).update(_standing(metered.account, now))
            await send(message)

        async def receive_counted() -> Message:
            message = await receive()
            metered.received += len(message.get("body", b""))
            return message

        await self.app(scope, receive_counted, send_counted)
        if metered.account and (undeclared := metered.received - metered.cost["bytes"]) > 0:
            await metered.account.take(self.ledger.counts, {"requests": 0, "bytes": undeclared}, time.time())

    def _meter(self, headers: Headers) -> Metered:
        declared = headers.get("content-length", "")
        unknown = int("transfer-encoding" in headers)  # the rest is counted as it comes
        length = min(int(declared[:20]), MOST_BYTES) if declared.isdecimal() else unknown
        digest = sha256(headers.get("authorization", "").encode()).digest()
        return Metered(self.ledger, digest, {"requests": 1, "bytes": length})

    async def _refusal(self, metered: Metered, scope: Scope, now: float) -> Refusal | None:
        account = self.ledger.accounts.get(metered.digest)
        if account is None:
            return self._stranger(scope, now)
        if account.until < time.monotonic():  # one looks again, and the others go by what is known: a flood is many
            account.until = time.monotonic() + LOOKING_SECONDS
            return None
        metered.account, metered.is_paid = account, True
        return await account.take(self.ledger.counts, metered.cost, now)

    def _failures(self, scope: Scope) -> Allowance | None:
        limit = get_settings().rate_limits.failed_authentications_per_minute
        address = (scope.get("client") or ("",))[0]
        return None if limit is None else self.ledger.allowance(address, "failures", limit)

    def _stranger(self, scope: Scope, now: float) -> Refusal | None:
        failures = self._failures(scope)
        if failures is None or not failures.is_spent(now) or scope["path"].startswith(OPENED_BY_SIGNATURES):
            return None
        return Refusal(failures, failures.resets_in(now))

    async def _count_failure(self, scope: Scope, now: float) -> None:
        if failures := self._failures(scope):
            await failures.take(self.ledger.counts, 1, now)


async def _refuse(refusal: Refusal, metered: Metered, asked: Headers, send: Send) -> None:
    """Written by hand, outside of everything that a request usually goes through, with what every answer has."""
    answer = envelope(429, str(refusal), RateLimited.code, type=RateLimited.type)
    headers = _standing(metered.account, time.time())
    headers |= {"retry-after": str(seconds(refusal.again_in)), "x-request-id": request_id(asked)}
    if metered.cost["bytes"] or "transfer-encoding" in asked:  # nothing of its body is taken
        headers["connection"] = "close"
    answer.headers["x-should-retry"] = "true"
    raw = answer.raw_headers + [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 429, "headers": raw})
    await send({"type": "http.response.body", "body": answer.body})


def _standing(account: Account | None, now: float) -> dict[str, str]:
    """OpenAI's headers. Of a key's limit and its project's, that of which less remains."""
    tightest: dict[Kind, Allowance] = {}
    for each in account.allowances if account else ():
        if each.kind not in tightest or each.remaining < tightest[each.kind].remaining:
            tightest[each.kind] = each
    headers = {}
    for kind, allowance in tightest.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(allowance.limit)
        headers[f"x-ratelimit-remaining-{kind}"] = str(allowance.remaining)
        headers[f"x-ratelimit-reset-{kind}"] = f"{seconds(allowance.resets_in(now))}s"
    return headers
