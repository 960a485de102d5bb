"""Whoever says nothing, too little or too much is not waited for; whoever is only slow is."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from api.http.body_guard import find_unstorable, is_text, is_too_deep
from api.http.slow_heads import MAX_HEAD_BYTES, Connection
from api.main import create_app
from shared.json_fields import MAX_DEPTH
from tests.api.wire import END, form, open_upload, part, send
from tests.servers import serving
from tests.worker.levers import settings
from tests.world import Person, lines

PATIENCE = 0.3


class Hasty(Connection):
    head_timeout_seconds = 0.1


@pytest.fixture(scope="module")
def hasty_server(server: str) -> Iterator[str]:
    with settings(TUNERY_BODY_TIMEOUT=str(PATIENCE)):
        app = create_app()
    with serving(app, Hasty) as address:
        yield f"{address}/v1"


@pytest.fixture
def hasty(hasty_server: str, alice: Person) -> Iterator[Person]:
    """Alice, at a server without much patience."""
    person = Person(hasty_server, alice.api_key, alice.project_id)
    yield person
    person.close()


@contextmanager
def connected(person: Person) -> Iterator[socket.socket]:
    parts = urlsplit(person.base_url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=10) as connection:
        yield connection


def said(connection: socket.socket) -> tuple[int, str]:
    """The status and the code of what is answered until the connection is closed."""
    answer = b""
    while more := connection.recv(65536):
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


def test_a_connection_that_says_nothing_is_closed(hasty: Person) -> None:
    with connected(hasty) as connection:
        assert said(connection) == (408, "request_timeout")


def test_a_head_that_does_not_end_is_not_waited_for(hasty: Person) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET /v1/files HTTP/1.1\r\nhost: x\r\nx-slow: ")
        assert said(connection) == (408, "request_timeout")


def test_a_second_head_that_does_not_end_is_not_waited_for_either(hasty: Person) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        assert said(connection) == (408, "request_timeout")


def test_a_head_without_bounds_is_refused(hasty: Person) -> None:
    with connected(hasty) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ")
        connection.sendall(b"a" * MAX_HEAD_BYTES)
        assert said(connection) == (431, "request_too_large")


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x02\x00", b"HELO x\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_is_told_so(hasty: Person, nonsense: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(nonsense)
        assert said(connection) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/files", "/fine_tuning/jobs", "/chat/completions"])
def test_a_body_that_stops_coming_is_not_waited_for(hasty: Person, path: str) -> None:
    with open_upload(hasty, 1000, path=path) as connection:
        connection.sendall(b"-")
        assert said(connection) == (408, "request_timeout")


def test_a_body_in_drops_is_not_waited_for(hasty: Person) -> None:
    with open_upload(hasty, 1000, path="/fine_tuning/jobs") as connection:
        began = time.monotonic()
        connection.settimeout(0.02)
        answer = b""
        while not answer and time.monotonic() < began + 10:
            connection.sendall(b"{")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")


def test_a_file_may_take_long_while_it_comes(hasty: Person) -> None:
    body = form(part("purpose", b"fine-tune"), part("file", lines(200), "train.jsonl"))
    step = len(body) // 20
    with open_upload(hasty, len(body)) as connection:
        began = time.monotonic()
        for start in range(0, len(body), step):
            connection.sendall(body[start : start + step])
            time.sleep(PATIENCE / 12)
        assert time.monotonic() - began > PATIENCE
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert body.endswith(END)


def deep(depth: int) -> bytes:
    return b'{"a":' * (depth // 2) + b"[" * (depth - depth // 2) + b"]" * (depth - depth // 2) + b"}" * (depth // 2)


@pytest.mark.parametrize(
    "text", [b'"' + b"a" * 200_000, b'"' + b'\\"' * 100_000, b'"a" ' * 50_000 + b'"'], ids=["open", "escaped", "many"]
)
def test_a_text_that_nobody_closes_is_passed_over_at_once(text: bytes) -> None:
    assert is_too_deep(b"[" * 40 + text)


def test_depth_is_counted_without_texts_and_neighbours() -> None:
    assert not is_too_deep(deep(MAX_DEPTH))
    assert is_too_deep(deep(MAX_DEPTH + 1))
    assert not is_too_deep(b"[" + b"[[]]," * 1000 + b"[]]")
    assert not is_too_deep(b'["' + b"[" * 1000 + b'\\"[\\\\"]')
    assert is_too_deep(b"[" * 100_000)


@pytest.mark.parametrize(
    ("text", "is_bad"),
    [
        (rb'"\u0000"', True),
        (rb'"\\u0000"', False),
        (rb'"\\\u0000"', True),
        (rb'"\ud83d\ude00"', False),
        (rb'"\uD83D\uDE00 \u00e9"', False),
        (rb'"\ud83d"', True),
        (rb'"\ude00"', True),
        (rb'"\ude00\ud83d"', True),
        (rb'"\ud83d\\\ude00"', True),
        (rb'"\ud83d\ud83d\ude00\ude00"', True),
        (rb'"\\ud800"', False),
        (b'"plain"', False),
    ],
)
def test_what_cannot_be_stored_is_seen(text: bytes, is_bad: bool) -> None:
    assert (find_unstorable(text) is not None) is is_bad


def test_where_it_is_is_told(hasty: Person) -> None:
    answer = send(hasty, "POST", "/fine_tuning/jobs", rb'{"a\\b": "\ud83d\ude00", "model": "x\u0000"}')
    assert (answer.status, answer.error["code"]) == (400, "invalid_text")
    assert "at byte 36:" in answer.error["message"]


@pytest.mark.parametrize(
    ("query", "is_good"),
    [(b"a=b%20c", True), (b"a=%c3%a9", True), (b"a=%", True), (b"a=%ff", False), (b"%00", False), (b"\xff", False)],
)
def test_a_query_is_text(query: bytes, is_good: bool) -> None:
    assert is_text(query) is is_good
