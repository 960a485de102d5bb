"""A network backend that ends the active call in time, however slowly the other side answers."""

import ssl
from typing import Any

import httpcore2

from worker.net.call_limits import Call, active_call

SEND_BYTES = 64 << 10  # httpcore2 starts the timeout anew whenever a part of what it was given is sent


class LimitedBackend(httpcore2.NetworkBackend):
    """Connects through `backend`; its connections may be kept and used by one call after another."""

    def __init__(self, backend: httpcore2.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *options: Any, **named_options: Any
    ) -> httpcore2.NetworkStream:
        seconds = _seconds(timeout, httpcore2.ConnectTimeout)
        return _LimitedStream(self._backend.connect_tcp(host, port, seconds, *options, **named_options))


class _LimitedStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream
        self._is_sending = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        call = active_call()
        if call is None:
            return self._stream.read(max_bytes, timeout)
        if self._is_sending:
            self._is_sending = False
            call.note_all_sent()
        try:
            data = self._stream.read(max_bytes, _seconds(timeout, httpcore2.ReadTimeout))
        except httpcore2.ReadTimeout:
            raise httpcore2.ReadTimeout(call.too_slow()) from None
        call.note_received(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._is_sending = True
        call = active_call()
        for start in range(0, len(buffer), SEND_BYTES):
            piece = buffer[start : start + SEND_BYTES]
            try:
                self._stream.write(piece, _seconds(timeout, httpcore2.WriteTimeout))
            except httpcore2.WriteTimeout:
                raise httpcore2.WriteTimeout(call.too_slow() if call else "") from None
            if call is not None:
                call.note_moved(len(piece))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        seconds = _seconds(timeout, httpcore2.ConnectTimeout)
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _seconds(timeout: float | None, error: type[httpcore2.TimeoutException]) -> float | None:
    """How long one operation may take. Raises `error` if the active call has no time left."""
    call: Call | None = active_call()
    if call is None:
        return timeout
    left = call.seconds_left()
    if left <= 0:
        raise error(call.too_slow())
    return left if timeout is None else min(timeout, left)
