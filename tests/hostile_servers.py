"""Servers whose answers never end, come in drops, or are larger than they look."""

import gzip
import json
import re
import socket
import zlib
from collections.abc import Callable, Iterator
from itertools import count
from threading import Event

Talk = Callable[[socket.socket, Event], None]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
OPEN_END = b"connection: close\r\n\r\n"


def read_request(visitor: socket.socket) -> None:
    """Read a request. What is left unread when a connection is closed would reset it."""
    head = b""
    while b"\r\n\r\n" not in head and (data := visitor.recv(65536)):
        head += data
    head, _, body = head.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    left = int(length[1]) - len(body) if length else 0
    while left > 0 and (data := visitor.recv(65536)):
        left -= len(data)


def sending(*pieces: bytes, forever: bytes, every: float = 0) -> Talk:
    """Send `pieces`, and then `forever` again and again, `every` so many seconds."""

    def talk(visitor: socket.socket, over: Event) -> None:
        read_request(visitor)
        for piece in pieces:
            visitor.sendall(piece)
        while not over.wait(every):
            visitor.sendall(forever)

    return talk


def answering(head: bytes, body: bytes) -> Talk:
    def talk(visitor: socket.socket, over: Event) -> None:
        read_request(visitor)
        visitor.sendall(head + OPEN_END + body)

    return talk


def paging(pages: Iterator[bytes]) -> Talk:
    """Answer each request with the next page."""

    def talk(visitor: socket.socket, over: Event) -> None:
        read_request(visitor)
        visitor.sendall(OK + OPEN_END + next(pages))

    return talk


def page(*items: object) -> bytes:
    return json.dumps({"object": "list", "data": items, "has_more": True}).encode()


def events(size: int, per_page: int = 100) -> Iterator[bytes]:
    """Pages of ever new events, whose messages have `size` characters."""
    for number in count():
        ids = range(number * per_page, (number + 1) * per_page)
        yield page(*({"id": f"ftevent-{id}", "message": "x" * size, "level": "info"} for id in ids))


def bomb(size: int = 1 << 30) -> Iterator[bytes]:
    """A gzip stream that stands for `size` zeros."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    for _ in range(size >> 20):
        if piece := compressor.compress(bytes(1 << 20)):
            yield piece
    yield compressor.flush()


def sending_a_bomb() -> Talk:
    def talk(visitor: socket.socket, over: Event) -> None:
        read_request(visitor)
        visitor.sendall(OK + b"content-encoding: gzip\r\n" + OPEN_END)
        for piece in bomb():
            visitor.sendall(piece)

    return talk


def gzipped(body: bytes) -> Talk:
    return answering(OK + b"content-encoding: gzip\r\n", gzip.compress(body))


ENDLESS: dict[str, Talk] = {
    "a text that never ends": sending(OK + OPEN_END + b'"', forever=b"a" * 65536),
    "values that never end": sending(OK + OPEN_END + b"[", forever=b"{}," * 20_000),
    "a gzip bomb": sending_a_bomb(),
}
DRIPPING: dict[str, Talk] = {
    "a head in drops": sending(OK + b"x-drops: ", forever=b"a", every=0.1),
    "interim answers in drops": sending(forever=b"HTTP/1.1 103 Early Hints\r\n\r\n", every=0.1),
    "a body in drops": sending(OK + OPEN_END + b"[", forever=b" ", every=0.1),
    "chunks in drops": sending(OK + b"transfer-encoding: chunked\r\n\r\n", forever=b"1\r\n \r\n", every=0.1),
    "silence": sending(forever=b"", every=0.1),
}
UNREADABLE: dict[str, Talk] = {
    "a head that never ends": sending(OK, forever=b"x-more: " + b"a" * 8000 + b"\r\n"),
    "an encoding that nobody asked for": answering(OK + b"content-encoding: br\r\n", b"[]"),
    "gzip that is none": answering(OK + b"content-encoding: gzip\r\n", b"[]"),
    "a depth without end": answering(OK, b"[" * 100_000),
}
