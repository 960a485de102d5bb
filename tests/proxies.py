"""A real forward proxy in a thread, with CONNECT for https, which says where it was asked to go."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """`asked` are the first lines of the requests. `leads_to` maps a name to a port on this machine.

    It answers 407 to who does not give `user` and its password, and 403 for a name that it does not know.
    """

    def __init__(self, port: int, leads_to: dict[str, int], user: str | None) -> None:
        self.port, self.leads_to, self.user = port, leads_to, user
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://{self.user}@127.0.0.1:{self.port}" if self.user else f"http://127.0.0.1:{self.port}"

    def serve(self, visitor: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := visitor.recv(65536)):
            head += data
        first, _, rest = head.partition(b"\r\n")
        self.asked.append(first.decode())
        method, target, _ = first.decode().split(" ")
        wanted = f"proxy-authorization: basic {base64.b64encode((self.user or '').encode()).decode()}".lower()
        if self.user and wanted not in head.decode().lower():
            visitor.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return
        name = target.removeprefix("http://").split("/")[0].rpartition(":")[0]
        if name not in self.leads_to:
            visitor.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self.leads_to[name]), timeout=30) as far:
            if method == "CONNECT":
                visitor.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = "/" + target.removeprefix("http://").partition("/")[2]
                far.sendall(f"{method} {path} HTTP/1.1\r\n".encode() + rest)
            back = threading.Thread(target=_copy, args=(far, visitor), daemon=True)
            back.start()
            _copy(visitor, far)
            back.join(30)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def proxying(leads_to: dict[str, int], user: str | None = None) -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(listener.getsockname()[1], leads_to, user)

        def take() -> None:
            while True:
                try:
                    visitor, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_serve, args=(proxy, visitor), daemon=True).start()

        threading.Thread(target=take, daemon=True).start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def _serve(proxy: Proxy, visitor: socket.socket) -> None:
    with visitor, suppress(OSError):
        proxy.serve(visitor)
