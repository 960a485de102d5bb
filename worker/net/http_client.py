"""Ask a stranger's address, without letting the stranger turn us against the network we run in.

`dialling` judges where it leads, and goes there. No redirects, no cookies, no proxy of the environment; one deadline
for everything, the body included; a bounded part of the answer read.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import h11

from shared.errors import Invalid
from shared.security.ssrf import Target, target
from worker.net.dial import DIALLER, Dialler, Line, Undeliverable

__all__ = ["Response", "Undeliverable", "get", "post"]

READ_AT_MOST = 16 << 10
HEADER_AT_MOST = 32 << 10
RECEIVED_AT_MOST = 256 << 10  # 16 KiB can be spread over any number of bytes, chunk by chunk
MOST_INTERIM_ANSWERS = 10
HEADERS_KEPT = 50
HEADER_BYTES_KEPT = 4 << 10


@dataclass(frozen=True)
class Response:
    """What came back, and from where.

    `body` is its first 16 KiB. `headers` are up to 50, of 4 KiB in all, with names in lower case, `retry-after` first;
    where a byte is not printable UTF-8 they have a replacement character. `address` is the one dialled: `1.2.3.4:443`.
    """

    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: timedelta, dialler: Dialler = DIALLER) -> Response:
    """One POST, at an end after `timeout` whatever the other side does. Raises `Undeliverable`."""
    sent = {**headers, "content-length": str(len(body))}
    with _asking(url, "POST", sent, body, timeout, dialler) as (call, answer):
        kept = b""
        for chunk in call.body():
            kept += chunk[: READ_AT_MOST - len(kept)]
            if len(kept) >= READ_AT_MOST or call.received > RECEIVED_AT_MOST:
                break
        return Response(answer.status_code, kept, _kept(answer.headers), call.line.address)


def get(
    url: str, limit: int, timeout: timedelta, pause: timedelta | None = None, dialler: Dialler = DIALLER
) -> Iterator[bytes]:
    """The body of what is there, piece by piece, none of which comes later than `pause` after the one before it.

    Raises `Undeliverable`, also for more than `limit` bytes.
    """
    pause = min(pause or timeout, timeout)
    over = time.monotonic() + timeout.total_seconds()
    with _asking(url, "GET", {}, b"", pause, dialler) as (call, answer):
        if answer.status_code != 200:
            redirected = ": redirects are not followed" if 300 <= answer.status_code < 400 else ""
            raise Undeliverable(f"HTTP {answer.status_code}{redirected}", call.line.address)
        length = 0
        try:
            call.go_on(pause, over)
            for chunk in call.body():
                call.go_on(pause, over)
                length += len(chunk)
                if length > limit:
                    raise Undeliverable(f"it has more than {limit} bytes", call.line.address)
                yield chunk
        except TimeoutError:
            why = f"only {length} bytes came within {timeout.total_seconds():g} s"
            if time.monotonic() < over:
                why = f"only {length} bytes came, and then none for {pause.total_seconds():g} s"
            raise Undeliverable(why, call.line.address) from None


@contextmanager
def _asking(
    url: str, method: str, headers: Mapping[str, str], body: bytes, timeout: timedelta, dialler: Dialler
) -> Iterator[tuple["_Call", h11.Response]]:
    """The answer's head, and a call from which to read its body; every failure on the way is `Undeliverable`."""
    deadline = time.monotonic() + timeout.total_seconds()
    try:
        asked = target(url)
    except Invalid as error:
        raise Undeliverable(str(error)) from None
    line = dialler.dial(asked, deadline)
    with line.socket:
        call = _Call(line)
        try:
            yield call, call.ask(asked, method, headers, body)
        except TimeoutError:
            missing = "no answer" if call.status is None else f"HTTP {call.status}, but not all of its body"
            raise Undeliverable(f"{missing} within {timeout.total_seconds():g} s", line.address) from None
        except h11.LocalProtocolError:
            raise Undeliverable("the request cannot be written as HTTP", line.address) from None
        except h11.RemoteProtocolError as error:
            raise Undeliverable(call.what_is_wrong(error), line.address) from None
        except OSError as error:
            why = f"the connection broke before the answer was complete: {error.strerror or type(error).__name__}"
            raise Undeliverable(why, line.address) from None


class _Call:
    """One request and its answer."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.received = 0
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_AT_MOST)
        self._has_hung_up = False
        self.status: int | None = None

    def ask(self, asked: Target, method: str, headers: Mapping[str, str], body: bytes) -> h11.Response:
        sent = [("host", _host(asked)), *headers.items(), ("connection", "close")]
        request = h11.Request(method=method, target=asked.path, headers=sent)
        written = [self._http.send(event) for event in (request, h11.Data(data=body), h11.EndOfMessage())]
        with suppress(ConnectionError):  # who hangs up early may have answered before
            self.line.send(b"".join(filter(None, written)))
        for _ in range(MOST_INTERIM_ANSWERS):
            event = self._next()
            if isinstance(event, h11.Response):
                self.status = event.status_code
                return event
        raise h11.RemoteProtocolError("too many interim answers", error_status_hint=431)

    def go_on(self, pause: timedelta, over: float) -> None:
        """What comes next has so much time, unless all is over before."""
        self.line = replace(self.line, deadline=min(over, time.monotonic() + pause.total_seconds()))

    def body(self) -> Iterator[bytes]:
        while isinstance(event := self._next(), h11.Data):
            yield bytes(event.data)

    def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = self.line.receive()
            if not self.received and not b"HTTP/".startswith(data[:5]):
                raise h11.RemoteProtocolError("no HTTP")  # who greets first waits for an answer, and so would we
            self.received += len(data)
            self._has_hung_up = not data
            self._http.receive_data(data)
        return event

    def what_is_wrong(self, error: h11.RemoteProtocolError) -> str:
        if self._has_hung_up:
            return "the connection was closed before the answer was complete"
        if self.status is not None:
            return "the body of its answer is not as HTTP has it"
        if error.error_status_hint == 431:
            return f"the header of its answer is endless, or larger than {HEADER_AT_MOST >> 10} KiB"
        return "what it answers is not HTTP"


def _host(asked: Target) -> str:
    host = f"[{asked.host}]" if ":" in asked.host else asked.host
    return host if asked.port == {"https": 443, "http": 80}[asked.scheme] else f"{host}:{asked.port}"


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    kept: list[tuple[str, str]] = []
    room = HEADER_BYTES_KEPT
    for name, value in sorted(headers, key=lambda header: header[0] != b"retry-after"):
        pair = (_printable(name), _printable(value))
        size = len("".join(pair).encode())
        if size <= room and len(kept) < HEADERS_KEPT:
            kept.append(pair)
            room -= size
    return kept


def _printable(value: bytes) -> str:
    text = value.decode(errors="replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
