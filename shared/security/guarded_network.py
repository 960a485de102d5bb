"""Network backends for httpcore2 that connect only to addresses that `shared.security.ssrf` permits.

A name is resolved once, every address of the answer is checked, and the connection goes to exactly a checked address,
so a name server that answers differently the second time (DNS rebinding) gains nothing. TLS still verifies the name.
"""

import asyncio
import math
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_address
from itertools import chain, zip_longest
from threading import Thread
from typing import Any

import anyio
from httpcore2 import (
    AnyIOBackend,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
    NetworkBackend,
    NetworkStream,
    SyncBackend,
)

from shared.errors import Invalid
from shared.security.lookup_slots import LookupSlots
from shared.security.ssrf import IPAddress, Target, forbidden_reason, parse_url, unmapped

MAX_ADDRESSES_TRIED = 4  # a name can have a thousand addresses, and its owner must not make us scan them
LOOKUP_TIMEOUT_SECONDS = 5.0
SLOT_POLL_SECONDS = 0.02  # of asyncio
CONNECT_TIMEOUT_SECONDS = 5.0  # for each address
# uvloop hands over all that the system has received, up to 6 MB of each connection, before it can be told to pause
RECEIVE_BUFFER = (socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
TOO_MANY = "the name was not looked up: too many lookups are pending"


def _getaddrinfo(name: str) -> list[str]:
    answers = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return [str(answer[4][0]).split("%")[0] for answer in answers]


@dataclass(frozen=True)
class Resolver:
    """Looks up each name in a thread of its own, because getaddrinfo has no timeout and cannot be interrupted.

    A lookup that hangs keeps its thread and one of `slots`, also of those of `project_id`, which has chosen the name;
    its caller waits for `timeout_seconds` and no longer. Raises `ConnectError` and `ConnectTimeout`.
    """

    look_up: Callable[[str], Iterable[str]] = _getaddrinfo
    timeout_seconds: float = LOOKUP_TIMEOUT_SECONDS
    slots: LookupSlots = field(default_factory=LookupSlots)
    project_id: str | None = None

    def resolve(self, name: str) -> list[str]:
        deadline = time.monotonic() + self.timeout_seconds
        with self._readable_errors():
            if not self.slots.acquire(self.project_id, self.timeout_seconds):
                raise ConnectError(TOO_MANY)
            return self._start(name).result(max(0, deadline - time.monotonic()))

    async def resolve_async(self, name: str) -> list[str]:
        deadline = time.monotonic() + self.timeout_seconds
        with self._readable_errors():
            while not self.slots.acquire(self.project_id):
                if time.monotonic() >= deadline:
                    raise ConnectError(TOO_MANY)
                await anyio.sleep(SLOT_POLL_SECONDS)
            return await asyncio.wait_for(asyncio.wrap_future(self._start(name)), max(0, deadline - time.monotonic()))

    def _start(self, name: str) -> "Future[list[str]]":
        """Look the name up in the slot that has been acquired."""
        future: Future[list[str]] = Future()
        future.set_running_or_notify_cancel()  # a caller that stops waiting must not cancel what the thread will set
        try:  # a daemon thread, so that a lookup that hangs does not keep the process from ending
            Thread(target=self._run, args=(name, future), daemon=True).start()
        except RuntimeError:
            self.slots.release(self.project_id)
            raise ConnectError("the name was not looked up: the system has no thread left") from None
        return future

    def _run(self, name: str, future: "Future[list[str]]") -> None:
        try:
            settle = partial(future.set_result, list(self.look_up(name)))
        except Exception as error:
            settle = partial(future.set_exception, error)
        self.slots.release(self.project_id)  # before the caller goes on, so that it finds the slot free
        settle()

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except ConnectError:
            raise
        except TimeoutError:
            raise ConnectTimeout(f"the name was not resolved within {self.timeout_seconds:.2g} s") from None
        except Exception as error:
            reason = getattr(error, "strerror", None) or "it is no valid name"
            raise ConnectError(f"the name cannot be resolved: {reason}") from None


RESOLVER = Resolver()


def resolver_of(project_id: str | None) -> Resolver:
    """The resolver for names that a project has chosen."""
    return replace(RESOLVER, project_id=project_id)


class GuardedBackend(NetworkBackend):
    """Connects to permitted addresses only. Raises `ConnectError` or `ConnectTimeout`, with a sentence that says why.

    `scheme` is that of all requests that use the backend, because a public address is permitted with TLS only. It is
    None for what the operator has chosen: then every address is permitted, and only lookups and time are bounded. The
    timeout of `connect_tcp` is for each address; connecting as a whole ends at `deadline`, on `time.monotonic`'s clock.
    """

    def __init__(
        self,
        scheme: str | None,
        backend: NetworkBackend | None = None,
        resolver: Resolver = RESOLVER,
        deadline: float = math.inf,
    ) -> None:
        self._scheme, self._backend, self._resolver = scheme, backend or SyncBackend(), resolver
        self._deadline = deadline

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *options: Any, **named_options: Any
    ) -> NetworkStream:
        target = target_of(self._scheme, host, port)
        resolved = [target.host] if target.address else self._resolver.resolve(target.host)
        failure: Exception = ConnectTimeout("no time was left to connect")
        for address in permitted(target, resolved):
            seconds = min(timeout or CONNECT_TIMEOUT_SECONDS, self._deadline - time.monotonic())
            if seconds <= 0:
                break
            try:
                return self._backend.connect_tcp(str(address), port, seconds, *options, **named_options)
            except (ConnectError, ConnectTimeout) as error:
                failure = _readable(error, seconds)
        raise failure


class AsyncGuardedBackend(AsyncNetworkBackend):
    """What `GuardedBackend` is, for asyncio; its connections keep little of what nobody has read yet."""

    def __init__(
        self, scheme: str | None, backend: AsyncNetworkBackend | None = None, resolver: Resolver = RESOLVER
    ) -> None:
        self._scheme, self._backend, self._resolver = scheme, backend or AnyIOBackend(), resolver

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        target = target_of(self._scheme, host, port)
        resolved = [target.host] if target.address else await self._resolver.resolve_async(target.host)
        seconds = timeout or CONNECT_TIMEOUT_SECONDS
        failure: Exception = ConnectError("the name has no address")
        for address in permitted(target, resolved):
            try:
                return await self._backend.connect_tcp(
                    str(address), port, seconds, local_address, [*(socket_options or ()), RECEIVE_BUFFER]
                )
            except (ConnectError, ConnectTimeout) as error:
                failure = _readable(error, seconds)
        raise failure


def install(backend: NetworkBackend | AsyncNetworkBackend, transport: Any) -> None:
    """Let a transport of httpx2 connect through `backend`. httpx2 has no parameter for it, only a private attribute.

    Raises `TypeError` if the attribute is not where it was, so that no version of httpx2 leaves the guard off.
    """
    pool: Any = getattr(transport, "_pool", None)
    if not isinstance(getattr(pool, "_network_backend", None), NetworkBackend | AsyncNetworkBackend):
        raise TypeError(f"{type(transport).__name__} keeps its network backend elsewhere in this version of httpx2")
    pool._network_backend = backend


def root_cause(error: BaseException) -> str:
    """What the operating system says of an error, or else its type; never a word from the other side."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "strerror", None) or type(error).__name__


def target_of(scheme: str | None, host: str, port: int) -> Target:
    """Raises `ConnectError` for what the guard refuses without a lookup."""
    if scheme is None:
        with suppress(ValueError):
            return Target("", host, ip_address(host), port, "/")
        return Target("", host, None, port, "/")
    try:
        return parse_url(f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/")
    except Invalid as error:
        raise ConnectError(error.message) from None


def permitted(target: Target, resolved: Iterable[str]) -> list[IPAddress]:
    """The addresses to try, in order. Raises `ConnectError` if a single one of them is forbidden."""
    addresses = list(dict.fromkeys(unmapped(ip_address(each)) for each in resolved))
    for address in addresses if target.scheme else ():
        if reason := forbidden_reason(address, target.scheme, target.port):
            raise ConnectError(f"not connected: it leads to {reason}")
    # IPv4 and IPv6 in turn, beginning with the resolver's first: one of the two may have no route
    first = [address for address in addresses if address.version == addresses[0].version]
    others = [address for address in addresses if address.version != addresses[0].version]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each][:MAX_ADDRESSES_TRIED]


def _readable(error: Exception, seconds: float) -> Exception:
    if isinstance(error, ConnectTimeout):
        return ConnectTimeout(f"no connection within {seconds:.2g} s")
    return ConnectError(f"no connection: {root_cause(error)}")
