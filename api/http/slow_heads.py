"""A connection must say within seconds what it wants, and in bounds: uvicorn itself would wait for a head for ever."""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.errors import envelope

HEAD_WITHIN = 10.0  # seconds
HEAD_BYTES = 64 << 10


class Connection(HttpToolsProtocol):
    """uvicorn's own protocol, which closes a connection whose head is late or too long, with an error in our shape.

    Between two requests it is kept for uvicorn's `timeout_keep_alive`; `body_guard` judges how fast a body comes.
    """

    head_within = HEAD_WITHIN

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._late: TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_head()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._has_head()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._late is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, f"The request's head has more than {HEAD_BYTES} bytes", "request_too_large")

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "This is not HTTP as it is spoken here", "invalid_request")

    def _await_head(self) -> None:
        if self._late is None:
            self._head_bytes = 0
            self._late = self.loop.call_later(self.head_within, self._refuse, 408, _LATE, "request_timeout")

    def _has_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: int, message: str, code: str) -> None:
        self._has_head()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # else it would stand in the middle of another answer
            body = bytes(envelope(status, message, code).body)
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


_LATE = "The request's head did not come in time"
