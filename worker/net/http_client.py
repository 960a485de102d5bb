"""HTTP requests to addresses that strangers chose: webhook receivers, and files to download.

The guarded network decides where a request may go, or the operator's proxy does. No redirect is followed, no cookie
kept, no proxy of the environment used; one deadline covers the whole call, and a bounded part of the answer is read.
"""

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpcore2

from shared.errors import Invalid
from shared.security.content_decoding import CannotDecode, Decoder
from shared.security.egress import SNI, bracketed, egress_proxy, judge_behind_proxy
from shared.security.guarded_network import RESOLVER, GuardedBackend, Resolver, resolver_of, root_cause
from shared.security.ssrf import DEFAULT_PORTS, Target, parse_url
from worker.net.bounded import BoundedBackend, ByteLimitReached

MAX_BODY_BYTES = 16 << 10
MAX_HEAD_BYTES = 32 << 10  # of the answer's head, interim answers (1xx) included
MAX_RECEIVED_BYTES = 256 << 10  # chunked encoding can spread 16 KiB of body over any number of bytes
MIN_BYTES_PER_SECOND = 512 << 10  # of a body that is fetched, beyond its timeout
MAX_FRAMING = 8  # bytes received for each byte of a body in chunks of one byte
MAX_HEADERS_KEPT = 50
MAX_HEADER_BYTES_KEPT = 4 << 10
TLS = httpcore2.default_ssl_context()  # made once, because it reads all certificates of the system


class Undeliverable(Exception):
    """No complete answer came back. The sentence says why, and never in the other side's words.

    `address` is the one connected to last, None when there was none.
    """

    def __init__(self, reason: str, address: str | None = None) -> None:
        super().__init__(reason)
        self.address = address


@dataclass(frozen=True)
class Response:
    """What came back, and from where.

    `body` is its first 16 KiB. `headers` are up to 50, of 4 KiB in all, with names in lower case, `retry-after` first;
    a byte that is not printable UTF-8 becomes a replacement character. `address` was connected to: `1.2.3.4:443`.
    """

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""


@dataclass(frozen=True)
class Network:
    """What requests go through; tests put their own name server, sockets and certificates here."""

    resolver: Resolver = RESOLVER
    backend: httpcore2.NetworkBackend = field(default_factory=httpcore2.SyncBackend)
    tls: ssl.SSLContext = TLS


NETWORK = Network()


def network_of(project_id: str) -> Network:
    """The network for addresses that the project has chosen."""
    return Network(resolver_of(project_id))


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: timedelta, network: Network = NETWORK) -> Response:
    """Sends one POST and ends after `timeout`, whatever the other side does. Raises `Undeliverable`."""
    sent = {**headers, "content-length": str(len(body))}
    with _exchange(url, "POST", sent, body, timeout, network) as (call, answer):
        call.bytes_left = MAX_RECEIVED_BYTES
        kept = b""
        try:
            for chunk in answer.iter_stream():
                kept += chunk[: MAX_BODY_BYTES - len(kept)]
                if len(kept) >= MAX_BODY_BYTES:
                    break
        except ByteLimitReached:
            pass  # what is missing would not be kept either
        return Response(answer.status, kept, _kept_headers(answer.headers), call.address or "")


def get(
    url: str, max_bytes: int, timeout: timedelta, pause: timedelta | None = None, network: Network = NETWORK
) -> Iterator[bytes]:
    """Yields the body in pieces, each within `pause` of the one before, decompressed if need be.

    All come within `timeout`, and a second more for each half megabyte. Raises `Undeliverable`, also for a status other
    than 200 and for more than `max_bytes`.
    """
    pause, began, received = min(pause or timeout, timeout), time.monotonic(), 0

    def deadline() -> float:
        return began + timeout.total_seconds() + received / MIN_BYTES_PER_SECOND

    with _exchange(url, "GET", {"accept-encoding": "identity"}, b"", pause, network) as (call, answer):
        try:
            call.bytes_left = max_bytes * MAX_FRAMING + MAX_RECEIVED_BYTES
            call.deadline = min(deadline(), time.monotonic() + pause.total_seconds())
            for piece in _decoded_body(answer, call):
                received += len(piece)
                if received > max_bytes:
                    raise Undeliverable(f"it has more than {max_bytes} bytes", call.address)
                yield piece
                call.deadline = min(deadline(), time.monotonic() + pause.total_seconds())
        except httpcore2.TimeoutException:
            reason = f"only {received} bytes came within {time.monotonic() - began:.3g} s"
            if time.monotonic() < deadline():
                reason = f"only {received} bytes came, and then none for {pause.total_seconds():g} s"
            raise Undeliverable(reason, call.address) from None


def _decoded_body(answer: httpcore2.Response, call: BoundedBackend) -> Iterator[bytes]:
    """Some storage serves what it keeps compressed, whatever is asked for."""
    if answer.status != 200:
        redirect = ": redirects are not followed" if 300 <= answer.status < 400 else ""
        raise Undeliverable(f"HTTP {answer.status}{redirect}", call.address)
    encodings = [value.decode("latin-1") for name, value in answer.headers if name.lower() == b"content-encoding"]
    try:
        decoder = Decoder(", ".join(encodings))
        for chunk in answer.iter_stream():
            yield from decoder.decode(chunk)
    except CannotDecode as error:
        raise Undeliverable(str(error), call.address) from None


@contextmanager
def _exchange(
    url: str, method: str, headers: Mapping[str, str], body: bytes, timeout: timedelta, network: Network
) -> Iterator[tuple[BoundedBackend, httpcore2.Response]]:
    """Sends a request and yields the answer once its head has come; every failure becomes `Undeliverable`."""
    deadline = time.monotonic() + timeout.total_seconds()
    try:
        target = parse_url(url)
    except Invalid as error:
        raise Undeliverable(error.message) from None
    call = BoundedBackend(network.backend, deadline, MAX_HEAD_BYTES)
    status: int | None = None
    try:
        with _connection(target, call, network) as connection:
            answer = connection.handle_request(_request(target, method, headers, body))
            if answer.status < 200:
                raise httpcore2.RemoteProtocolError("a switch of protocols that nobody asked for")
            status = answer.status
            yield call, answer
    except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
        raise Undeliverable(str(error), call.address) from None
    except httpcore2.ProxyError as error:
        raise Undeliverable(f"the egress proxy did not connect: HTTP {str(error)[:3]}", call.address) from None
    except httpcore2.TimeoutException:
        missing = "no answer" if status is None else f"HTTP {status}, but not all of its body"
        raise Undeliverable(f"{missing} within {timeout.total_seconds():g} s", call.address) from None
    except httpcore2.LocalProtocolError:
        raise Undeliverable("the request cannot be written as HTTP", call.address) from None
    except (httpcore2.RemoteProtocolError, ByteLimitReached) as error:
        raise Undeliverable(_invalid_answer(call, status, error), call.address) from None
    except httpcore2.NetworkError as error:
        reason = f"the connection broke before the answer was complete: {root_cause(error)}"
        raise Undeliverable(reason, call.address) from None


def _connection(
    target: Target, call: BoundedBackend, network: Network
) -> httpcore2.HTTPConnection | httpcore2.HTTPProxy:
    seconds = max(0.0, min(network.resolver.timeout_seconds, call.deadline - time.monotonic()))
    resolver = replace(network.resolver, timeout_seconds=seconds)
    if (proxy := egress_proxy()) is not None:
        judge_behind_proxy(target.scheme, target.host, target.port, resolver)
        return httpcore2.HTTPProxy(
            proxy.url,
            proxy.auth,
            ssl_context=network.tls,
            network_backend=GuardedBackend(None, call, resolver, call.deadline),
        )
    return httpcore2.HTTPConnection(
        httpcore2.Origin(target.scheme.encode(), target.host.encode(), target.port),
        network.tls,
        network_backend=GuardedBackend(target.scheme, call, resolver, call.deadline),
    )


def _request(target: Target, method: str, headers: Mapping[str, str], body: bytes) -> httpcore2.Request:
    written = bracketed(target.host)
    host = written if target.port == DEFAULT_PORTS[target.scheme] else f"{written}:{target.port}"
    connected_to = target.host if egress_proxy() is None else written  # a proxy is asked for what is written here
    return httpcore2.Request(
        method,
        httpcore2.URL(scheme=target.scheme, host=connected_to, port=target.port, target=target.path),
        headers=[("host", host), *headers.items(), ("connection", "close")],
        content=body,
        extensions={SNI: target.host},
    )


def _invalid_answer(call: BoundedBackend, status: int | None, error: Exception) -> str:
    if call.is_closed_by_peer:
        return "the connection was closed before the answer was complete"
    if status is not None:
        return "the body of its answer is not valid HTTP"
    if isinstance(error, ByteLimitReached):
        return f"the header of its answer is endless, or larger than {MAX_HEAD_BYTES >> 10} KiB"
    return "what it answers is not HTTP"


def _kept_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    kept: list[tuple[str, str]] = []
    bytes_left = MAX_HEADER_BYTES_KEPT
    printable = [(_printable(name).lower(), _printable(value)) for name, value in headers]
    for name, value in sorted(printable, key=lambda header: header[0] != "retry-after"):
        size = len((name + value).encode())
        if size <= bytes_left and len(kept) < MAX_HEADERS_KEPT:
            kept.append((name, value))
            bytes_left -= size
    return kept


def _printable(value: bytes) -> str:
    text = value.decode(errors="replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
