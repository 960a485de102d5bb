"""The way out to addresses that strangers have chosen: directly, past the guard, or through the operator's proxy."""

from copy import copy
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

import httpx2
from httpcore2 import URL, ConnectError, ConnectTimeout, NetworkBackend

from shared.security.guarded_network import (
    AsyncGuardedBackend,
    GuardedBackend,
    Resolver,
    install,
    permitted,
    resolver_of,
    target_of,
)
from shared.security.ssrf import DEFAULT_PORTS
from shared.settings import get_settings

# Behind a proxy many machines resolve no public name, and some name servers then do not answer at all.
LOOKUP_TIMEOUT_SECONDS = 1.0
SNI = "sni_hostname"  # extension of a request: whose certificate is expected, if not that of the URL's host


@dataclass(frozen=True)
class EgressProxy:
    """The proxy through which everything goes to strangers. `auth` is its user and password."""

    url: URL
    auth: tuple[bytes, bytes] | None


def egress_proxy() -> EgressProxy | None:
    setting = get_settings().egress_proxy
    if setting is None:
        return None
    parts = urlsplit(setting.get_secret_value())
    url = URL(scheme="http", host=parts.hostname or "", port=parts.port, target="/")
    auth = (unquote(parts.username or "").encode(), unquote(parts.password or "").encode())
    return EgressProxy(url, auth if any(auth) else None)


def bracketed(host: str) -> str:
    """The host as it is written before a port."""
    return f"[{host}]" if ":" in host else host


def judge_behind_proxy(scheme: str, host: str, port: int, resolver: Resolver) -> None:
    """Judge an address to which the proxy will connect, as far as it can be known here. Raises `ConnectError`.

    A name that cannot be resolved here is left to the proxy.
    """
    target = target_of(scheme, host, port)
    if target.address is None:
        try:
            resolved = _quick(resolver).resolve(target.host)
        except (ConnectError, ConnectTimeout):
            return
        permitted(target, resolved)


async def _judge_behind_proxy(scheme: str, host: str, port: int, resolver: Resolver) -> None:
    target = target_of(scheme, host, port)
    if target.address is None:
        try:
            resolved = await _quick(resolver).resolve_async(target.host)
        except (ConnectError, ConnectTimeout):
            return
        permitted(target, resolved)


def _quick(resolver: Resolver) -> Resolver:
    return replace(resolver, timeout_seconds=min(resolver.timeout_seconds, LOOKUP_TIMEOUT_SECONDS))


def strangers_transport(base_url: str, backend: NetworkBackend, project_id: str | None) -> httpx2.HTTPTransport:
    """For requests below `base_url`, which the project has chosen. Uses no proxy of the environment, which would
    connect without the guard. `backend` makes the connections."""
    resolver = resolver_of(project_id)
    if (setting := get_settings().egress_proxy) is not None:
        transport: httpx2.HTTPTransport = _ProxiedTransport(resolver, setting.get_secret_value())
        install(GuardedBackend(None, backend), transport)
    else:
        transport = httpx2.HTTPTransport(trust_env=False)
        install(GuardedBackend(urlsplit(base_url).scheme, backend, resolver), transport)
    return transport


def strangers_async_transport(
    base_url: str, limits: httpx2.Limits, project_id: str | None
) -> httpx2.AsyncHTTPTransport:
    """What `strangers_transport` is, for asyncio."""
    resolver = resolver_of(project_id)
    if (setting := get_settings().egress_proxy) is not None:
        transport: httpx2.AsyncHTTPTransport = _AsyncProxiedTransport(resolver, setting.get_secret_value(), limits)
        install(AsyncGuardedBackend(None), transport)
    else:
        transport = httpx2.AsyncHTTPTransport(trust_env=False, limits=limits)
        install(AsyncGuardedBackend(urlsplit(base_url).scheme, resolver=resolver), transport)
    return transport


class _ProxiedTransport(httpx2.HTTPTransport):
    def __init__(self, resolver: Resolver, proxy: str) -> None:
        super().__init__(trust_env=False, proxy=proxy)
        self._resolver = resolver

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            judge_behind_proxy(*_asked(request.url), self._resolver)
        except ConnectError as error:
            raise httpx2.ConnectError(str(error)) from None
        return super().handle_request(_through_proxy(request))


class _AsyncProxiedTransport(httpx2.AsyncHTTPTransport):
    def __init__(self, resolver: Resolver, proxy: str, limits: httpx2.Limits) -> None:
        super().__init__(trust_env=False, proxy=proxy, limits=limits)
        self._resolver = resolver

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            await _judge_behind_proxy(*_asked(request.url), self._resolver)
        except ConnectError as error:
            raise httpx2.ConnectError(str(error)) from None
        return await super().handle_async_request(_through_proxy(request))


def _asked(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or DEFAULT_PORTS[url.scheme]


class _BracketedURL(httpx2.URL):
    """A URL of an IPv6 address, which httpcore2 asks a proxy for as it is told: `CONNECT ::1:443` names nothing."""

    @property
    def raw_host(self) -> bytes:
        return bracketed(self.host).encode()


def _through_proxy(request: httpx2.Request) -> httpx2.Request:
    if ":" not in request.url.host:
        return request
    asked = copy(request)
    asked.url = _BracketedURL(request.url)
    asked.extensions = {**request.extensions, SNI: request.url.host}
    return asked
