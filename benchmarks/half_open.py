"""A way to a server that can go dead without being closed: what goes in on either side is swallowed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


class HalfOpen:
    """Forwards each connection until `freeze`; those that are made after it are whole again."""

    def __init__(self, url: str) -> None:
        self._to = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._dead: list[threading.Event] = []
        parts = urlsplit(url)
        place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{place}").geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> int:
        """How many connections go dead."""
        frozen = [dead for dead in self._dead if not dead.is_set()]
        for dead in frozen:
            dead.set()
        return len(frozen)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._to)
                self._dead.append(dead := threading.Event())
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=(source, sink, dead), daemon=True).start()

    def close(self) -> None:
        self._listener.close()


def _pump(source: socket.socket, sink: socket.socket, dead: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if not dead.is_set():
                sink.sendall(data)
    if not dead.is_set():
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def half_open(url: str) -> Iterator[HalfOpen]:
    way = HalfOpen(url)
    try:
        yield way
    finally:
        way.close()
