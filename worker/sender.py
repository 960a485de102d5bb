"""Ask a stranger's address, without letting the stranger turn us against the network we run in.

The name is resolved once, every address of the answer is judged, and exactly a judged one is dialled. No redirects, no
cookies, no proxy of the environment; one deadline for everything, the body included; a bounded part of the answer read.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import ip_address

import httpcore2
from httpcore2 import SOCKET_OPTION, NetworkBackend, NetworkStream

from shared.webhooks.addresses import is_allowed

CONNECT_SECONDS = 5.0
READ_AT_MOST = 16 << 10


@dataclass(frozen=True)
class Response:
    """What came back: the status, and the first 16 KiB of the body."""

    status: int
    body: bytes


class Undeliverable(Exception):
    """No answer came back; the sentence says why."""


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: timedelta) -> Response:
    """One POST, at an end after `timeout` whatever the other side does. Raises `Undeliverable`."""
    with _reaching(url, timeout) as pool, _asking(pool, "POST", url, headers, body) as response:
        kept = b""
        for chunk in response.iter_stream():
            kept += chunk[: READ_AT_MOST - len(kept)]
            if len(kept) >= READ_AT_MOST:
                break
        return Response(response.status, kept)


def get(url: str, limit: int, timeout: timedelta) -> Iterator[bytes]:
    """The body of what is there, piece by piece. Raises `Undeliverable`, also for more than `limit` bytes."""
    with _reaching(url, timeout) as pool, _asking(pool, "GET", url, {}, None) as response:
        if response.status != 200:
            raise Undeliverable(f"HTTP {response.status}")
        received = 0
        for chunk in response.iter_stream():
            received += len(chunk)
            if received > limit:
                raise Undeliverable(f"it has more than {limit} bytes")
            yield chunk


@contextmanager
def _reaching(url: str, timeout: timedelta) -> Iterator[httpcore2.ConnectionPool]:
    """Connections to checked addresses only, until the deadline; every failure on the way is `Undeliverable`."""
    deadline = time.monotonic() + timeout.total_seconds()
    try:
        backend = _CheckedBackend(httpcore2.URL(url).scheme.decode(), deadline)
        with httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool:
            yield pool
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        late = time.monotonic() >= deadline
        why = f"no answer within {timeout.total_seconds():g} s" if late else str(error) or type(error).__name__
        raise Undeliverable(why) from error
    except (httpcore2.UnsupportedProtocol, ValueError, TypeError, OSError) as error:  # also: no URL at all
        raise Undeliverable(str(error)) from error


def _asking(
    pool: httpcore2.ConnectionPool, method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> AbstractContextManager[httpcore2.Response]:
    timeouts = {"connect": CONNECT_SECONDS, "read": CONNECT_SECONDS * 12, "write": CONNECT_SECONDS * 12}
    sent = list(headers.items())
    return pool.stream(method, url, headers=sent, content=body, extensions={"timeout": timeouts})


@cache
def _tls() -> ssl.SSLContext:
    return httpcore2.default_ssl_context()


class _CheckedBackend(NetworkBackend):
    """Dials only addresses that may be dialled, and gives every operation what is left until the deadline."""

    def __init__(self, scheme: str, deadline: float) -> None:
        self._scheme = scheme
        self._deadline = deadline
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        wait = _left(self._deadline, timeout)
        stream = self._backend.connect_tcp(self._checked(host, port), port, wait, local_address, socket_options)
        return _TimedStream(stream, self._deadline)

    def _checked(self, host: str, port: int) -> str:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"the name cannot be resolved: {error}") from error
        addresses = [str(answer[4][0]).split("%")[0] for answer in answers]
        if not addresses or not all(is_allowed(ip_address(address), self._scheme) for address in addresses):
            raise httpcore2.ConnectError("the name leads to a private or reserved network, which is not dialled")
        return addresses[0]


class _TimedStream(NetworkStream):
    """A connection on which nothing lasts beyond the deadline, however slowly the other side drips."""

    def __init__(self, stream: NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        wait = _left(self._deadline, timeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, wait), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the time is up")
    return min(left, timeout) if timeout is not None else left
