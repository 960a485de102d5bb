"""Sentry's intake inside the test's own process: takes the envelopes that its SDKs send, over HTTP."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a1b2c3d4a1b2c3d4"


def events_in(envelope: bytes) -> Iterator[dict[str, Any]]:
    """The events of an envelope: a line of headers, then of each item a line of headers and its payload."""
    rest = envelope.partition(b"\n")[2]
    while rest:
        header, _, rest = rest.partition(b"\n")
        about = json.loads(header)
        payload, rest = rest[: about["length"]], rest[about["length"] + 1 :]
        if about["type"] == "event":
            yield json.loads(payload)


class Intake:
    """Keeps each event, and all bytes that came."""

    def __init__(self, port: int) -> None:
        self.dsn = f"http://{KEY}@127.0.0.1:{port}/7"
        self.events: list[dict[str, Any]] = []
        self.bodies = b""

    def of(self, server: str, **tags: str) -> list[dict[str, Any]]:
        """The events of a server that have these tags too."""
        wanted = {"server": server, **tags}
        return [event for event in self.events if event["tags"].items() >= wanted.items()]

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator["Intake"]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                is_known = self.path == "/api/7/envelope/" and f"sentry_key={KEY}" in self.headers["x-sentry-auth"]
                if is_known:
                    intake.bodies += body
                    intake.events += events_in(body)
                self.send_response(200 if is_known else 403)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Keeps the log of the tests empty."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            intake = cls(server.server_port)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield intake
            server.shutdown()
