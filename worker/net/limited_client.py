"""The HTTP client for calls to a provider: one call ends in time, and its answer is bounded."""

from collections.abc import Iterator
from typing import Any

import httpx2
from httpcore2 import SyncBackend

from shared.security.content_decoding import Decoder
from shared.security.egress import strangers_transport
from shared.security.guarded_network import GuardedBackend, install
from shared.settings import get_settings
from worker.net.call_limits import Call, limited_by
from worker.net.limited_backend import LimitedBackend

LEASE_PART = 0.8  # of the lease, within which a call ends, so that its step still has the time to record the answer


class LimitedClient(httpx2.Client):
    """A client of httpx2 whose `send` is bounded. What is put or sent as a form, or read as a stream, is a file.

    With `guarded_url` it leads to permitted addresses below that URL only, for an account whose address `project_id`
    has chosen. Without, the proxies that the environment names are used.
    """

    def __init__(self, *, guarded_url: str | None, project_id: str | None = None, **options: Any) -> None:
        backend = LimitedBackend(SyncBackend())
        transport = strangers_transport(guarded_url, backend, project_id) if guarded_url is not None else None
        headers = {"accept-encoding": "identity"}
        super().__init__(transport=transport, headers=headers, follow_redirects=False, **options)
        if guarded_url is None:
            for each in (self._transport, *self._mounts.values()):
                if each is not None:
                    install(GuardedBackend(None, backend), each)

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Raises what httpx2 does, `AnswerTooLarge`, and `CannotDecode`, which is a `ValueError`."""
        call = _call(request, stream)
        with limited_by(call):
            response = super().send(request, stream=True, **options)
        try:
            if response.is_error:
                call.note_error_answer()
            decoder = Decoder(response.headers.pop("content-encoding", ""))
            response.stream = _LimitedStream(response.stream, call, decoder)
            if not stream:
                response.read()
        except BaseException:
            response.close()
            raise
        return response


class _LimitedStream(httpx2.SyncByteStream):
    def __init__(self, stream: Any, call: Call, decoder: Decoder) -> None:
        self._stream, self._call, self._decoder = stream, call, decoder

    def __iter__(self) -> Iterator[bytes]:
        received = iter(self._stream)
        while True:
            with limited_by(self._call):
                data = next(received, None)
            if data is None:
                return
            for piece in self._decoder.decode(data):
                self._call.note_decoded(piece)
                yield piece

    def close(self) -> None:
        self._stream.close()


def _call(request: httpx2.Request, stream: bool) -> Call:
    timeout = request.extensions["timeout"]["read"]
    sends_file = request.method == "PUT" or request.headers.get("content-type", "").startswith("multipart/")
    seconds = min(timeout, get_settings().lease.total_seconds() * LEASE_PART)
    return Call(seconds, moves_file=stream or sends_file, reads_file=stream)
