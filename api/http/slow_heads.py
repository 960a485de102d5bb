"""Ends connections as uvicorn does not: one whose request head is late, and one that is kept while the server stops."""

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.errors import envelope
from api.stopping import stopping

HEAD_TIMEOUT_SECONDS = 10.0
MAX_HEAD_BYTES = 64 << 10
LAST_REQUEST_SECONDS = 1.0  # a proxy that sends one just now, over a connection that it keeps, must not find it closed


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, which also closes a connection whose request head is late (408) or too long (431).

    A connection without a request is closed by uvicorn's `timeout_keep_alive`; `body_guard` limits how slow a body is.
    Once the server is told to stop, answers say `connection: close`, so that the next request goes elsewhere. When it
    stops, a connection without a request may send one more.
    """

    head_timeout_seconds = HEAD_TIMEOUT_SECONDS
    last_request_seconds = LAST_REQUEST_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: TimerHandle | None = None
        self._head_bytes = 0
        self._is_stopping = False

    def connection_made(self, transport: Any) -> None:  # uvicorn narrows asyncio's BaseTransport to Transport
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()
        if self._is_stopping or stopping.is_told:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, f"The request head is larger than {MAX_HEAD_BYTES} bytes", "request_too_large")

    def shutdown(self) -> None:
        self._is_stopping = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(self.last_request_seconds, super().shutdown)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "The request is not valid HTTP/1.1", "invalid_request")

    def _await_head(self) -> None:
        if self._timer is None:
            self._head_bytes = 0
            self._timer = self.loop.call_later(self.head_timeout_seconds, self._refuse, 408, _LATE, "request_timeout")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, message: str, code: str) -> None:
        self._stop_timer()
        if self.transport.is_closing():
            return
        # While an earlier request on this connection is being answered, an error would be read as part of its body.
        if self.cycle is None or self.cycle.response_complete:
            body = bytes(envelope(status, message, code).body)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


_LATE = "The request head did not arrive in time"
