"""One connection for one call, bounded in time and bytes, however slowly or endlessly the other side answers."""

import ssl
import time
from typing import Any

import httpcore2
from httpcore2 import ConnectError, ConnectTimeout

from shared.security.guarded_network import CONNECT_TIMEOUT_SECONDS, root_cause


class ByteLimitReached(Exception):
    """The other side has sent as many bytes as the call may receive, and wants to send more."""


class BoundedBackend(httpcore2.NetworkBackend):
    """Connects once, and holds the connection to `deadline` (of `time.monotonic()`) and `bytes_left`.

    Both may be changed while the call runs. `address` is the one connected to last, as `1.2.3.4:443`; None before.
    """

    def __init__(self, backend: httpcore2.NetworkBackend, deadline: float, bytes_left: float) -> None:
        self._backend = backend
        self.deadline = deadline
        self.bytes_left = bytes_left
        self.address: str | None = None
        self.is_closed_by_peer = False

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *options: Any, **named_options: Any
    ) -> httpcore2.NetworkStream:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return _BoundedStream(self._backend.connect_tcp(host, port, timeout, *options, **named_options), self)

    def seconds_left(self) -> float:
        """Raises `ReadTimeout` when none are."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise httpcore2.ReadTimeout
        return seconds


class _BoundedStream(httpcore2.NetworkStream):
    """httpcore2's own timeouts are for one read or write: a byte every few seconds would keep a call alive for ever."""

    def __init__(self, stream: httpcore2.NetworkStream, call: BoundedBackend) -> None:
        self._stream = stream
        self._call = call
        self._unsent = b""
        self._is_first_read = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._send()
        if self._call.bytes_left <= 0:
            raise ByteLimitReached
        data = self._stream.read(int(min(max_bytes, self._call.bytes_left)), self._call.seconds_left())
        if self._is_first_read and not b"HTTP/".startswith(data[:5]):
            # an SSH or mail server greets first and then waits for an answer, as we would for the rest of a line
            raise httpcore2.RemoteProtocolError("not HTTP")
        self._is_first_read = False
        self._call.bytes_left -= len(data)
        self._call.is_closed_by_peer = not data
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Only collects: a server that answers after the first packet and closes would reset the connection, and lose
        its answer, if the body came in a second one."""
        self._unsent += buffer

    def _send(self) -> None:
        """On the socket itself, because httpcore2 starts the timeout anew whenever a part of the buffer is sent."""
        socket, unsent = self._stream.get_extra_info("socket"), memoryview(self._unsent)
        self._unsent = b""
        while unsent:
            socket.settimeout(self._call.seconds_left())
            try:
                unsent = unsent[socket.send(unsent) :]
            except TimeoutError:
                raise httpcore2.WriteTimeout from None
            except OSError:  # it closed the connection, but may have answered before
                return

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        seconds = min(timeout or CONNECT_TIMEOUT_SECONDS, self._call.seconds_left())
        try:
            return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._call)
        except ConnectTimeout:
            raise ConnectTimeout(f"the TLS handshake did not end within {seconds:.2g} s") from None
        except ConnectError as error:
            raise ConnectError(_handshake_failure(error.__cause__)) from None

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _handshake_failure(cause: BaseException | None) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not accepted: {cause.verify_message.rstrip('.')}"
    if isinstance(cause, ssl.SSLEOFError) or (isinstance(cause, ssl.SSLError) and not cause.reason):  # Python 3.11.2
        return "the connection was closed during the TLS handshake"
    if isinstance(cause, ssl.SSLError):
        return f"the TLS handshake failed: {(cause.reason or 'unknown').replace('_', ' ').lower()}"
    return f"the connection broke during the TLS handshake: {root_cause(cause or ConnectError())}"
