"""A TCP proxy whose open connections can stop passing bytes on without being closed, as after a lost NAT entry."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class HalfOpen:
    """Forwards connections to the server at `url`; `self.url` is the same address through this proxy."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._frozen: list[threading.Event] = []
        self._sockets: list[socket.socket] = []
        address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{address}").geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> int:
        """Freezes every open connection, and returns how many these are; later connections work."""
        open_ones = [frozen for frozen in self._frozen if not frozen.is_set()]
        for frozen in open_ones:
            frozen.set()
        return len(open_ones)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += client, server
                self._frozen.append(frozen := threading.Event())
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_forward, args=(source, sink, frozen), daemon=True).start()

    def close(self) -> None:
        """Accepts no more connections; open ones stay as they are."""
        self._listener.close()

    def close_connections(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it; close alone does not
            each.close()


def _forward(source: socket.socket, sink: socket.socket, frozen: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if not frozen.is_set():
                sink.sendall(data)
    if not frozen.is_set():
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def half_open(url: str) -> Iterator[HalfOpen]:
    proxy = HalfOpen(url)
    try:
        yield proxy
    finally:
        proxy.close()
        proxy.close_connections()
