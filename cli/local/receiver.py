"""A small receiver of webhooks on this machine: checks each delivery with the official SDK, as any client would."""

import json
import threading
from collections.abc import Callable
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from cli.processes.ports import LOCALHOST

if TYPE_CHECKING:
    from openai import OpenAI

LONGEST_BODY = 1 << 16


class Receiver:
    """Serves in threads of its own for the length of a `with` block.

    `on_event` is called with each verified event as a dictionary, `on_refusal` with the reason why one was refused.
    A delivery that comes before the secret is known is answered 503, so that it is sent again.
    """

    def __init__(
        self, port: int, on_event: Callable[[dict[str, Any]], None], on_refusal: Callable[[str], None] = lambda _: None
    ) -> None:
        self.secret: str | None = None
        self.on_event = on_event
        self.on_refusal = on_refusal
        self.server = ThreadingHTTPServer((LOCALHOST, port), _handler_of(self))
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://{LOCALHOST}:{self.server.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @cached_property
    def _openai(self) -> "OpenAI":
        from openai import OpenAI  # half a second that a start need not wait for

        return OpenAI(api_key="unused")

    def take(self, body: str, headers: dict[str, str]) -> int:
        """The HTTP status for a delivery."""
        if self.secret is None:
            return 503
        from openai import InvalidWebhookSignatureError

        try:
            self._openai.webhooks.unwrap(body, headers, secret=self.secret)
        except (InvalidWebhookSignatureError, ValueError) as error:
            self.on_refusal(str(error))
            return 400
        self.on_event(json.loads(body))
        return 204


def _handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            status = 413
            if length <= LONGEST_BODY:
                status = receiver.take(self.rfile.read(length).decode(), dict(self.headers.items()))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Its caller tells what happened."""

    return Handler
