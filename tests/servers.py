"""Servers inside the test's own process: the api, and a receiver of webhooks."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI

from api.http.slow_heads import Connection

PATIENCE = 100.0  # seconds
Found = TypeVar("Found")


def until(seen: Callable[[], Found], what: str = "it", patience: float = PATIENCE) -> Found:
    """What is seen, once there is something: what another thread or process does takes as long as it takes."""
    deadline = time.monotonic() + patience
    while not (found := seen()):
        assert time.monotonic() < deadline, f"{what} did not happen in {patience:.0f} s"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """Anybody may take it before the server does: where the server can share an address, use `ports.held`."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def closed_port() -> int:
    """A port at which nobody listens, and which nobody else is given for as long as this process lives."""
    port: int = _held_for_good().getsockname()[1]
    return port


@cache
def _held_for_good() -> socket.socket:
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder


def wait_for_port(port: int, patience: float = PATIENCE) -> None:
    def is_open() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(is_open, f"that somebody listens on port {port}", patience)


@contextmanager
def serving(app: FastAPI, connection: type[Connection] = Connection) -> Iterator[str]:
    """The app behind a real HTTP server, in a thread; its address."""
    config = uvicorn.Config(app, http=connection, log_config=None, access_log=False, timeout_keep_alive=75)
    with listening(config) as (_, address):
        yield address


@contextmanager
def listening(config: uvicorn.Config) -> Iterator[tuple[uvicorn.Server, str]]:
    """A server in a thread, on a port that was never anybody else's, and its address. At the end it has stopped."""
    server, listener = uvicorn.Server(config), socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "it did not start"
        time.sleep(0.01)
    yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it did not stop"


class Receiver:
    """A webhook receiver: keeps the requests, and answers with the statuses in `answers`, then with 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.body = b"ok"
        self.headers: dict[str, str] = {}

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator["Receiver"]:
        class Handler(_Handler):
            """A class for each server, since a handler finds its receiver at its class."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            receiver = Handler.receiver = cls(f"http://127.0.0.1:{server.server_port}/hook")
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            yield receiver
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.received.append((headers, body))
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.send_response(self.receiver.answers.pop(0) if self.receiver.answers else 200)
        self.send_header("content-length", str(len(self.receiver.body)))
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.receiver.body)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the log of the tests empty."""


class Visits:
    """Counts the connections of a TCP server; `over` ends them all."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.count = 0
        self.over = threading.Event()


@contextmanager
def talking(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[Visits]:
    """A TCP server that calls `talk` with every connection, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        visits = Visits(listener.getsockname()[1])
        thread = threading.Thread(target=_take_visits, args=(listener, talk, visits))
        thread.start()
        try:
            yield visits
        finally:
            visits.over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)


def _take_visits(
    listener: socket.socket, talk: Callable[[socket.socket, threading.Event], None], visits: Visits
) -> None:
    while True:
        try:
            visitor, _ = listener.accept()
        except OSError:
            return
        visits.count += 1
        with visitor, suppress(OSError):
            talk(visitor, visits.over)
