"""Connections that send nothing, too little or too much are closed; those that are only slow are served."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from api.http.body_guard import MIN_BYTES_PER_SECOND
from api.http.slow_heads import MAX_HEAD_BYTES, Connection
from api.main import create_app
from tests.api.wire import END, form, open_upload, part, send
from tests.servers import PATIENCE, serving
from tests.worker.support import settings
from tests.world import Person, lines


class Impatient(Connection):
    head_timeout_seconds = 0.1


@contextmanager
def serving_bodies_within(seconds: float, connection: type[Connection]) -> Iterator[str]:
    with settings(TUNERY_BODY_TIMEOUT=str(seconds)):
        app = create_app()
    with serving(app, connection) as address:
        yield f"{address}/v1"


@pytest.fixture(scope="module")
def impatient_server(server: str) -> Iterator[str]:
    with serving_bodies_within(0.3, Impatient) as address:
        yield address


@pytest.fixture
def impatient(impatient_server: str, alice: Person) -> Iterator[Person]:
    """Alice, at a server with short timeouts: only for what never comes, since a busy machine is late with all else."""
    person = Person(impatient_server, alice.api_key, alice.project_id)
    yield person
    person.close()


@contextmanager
def connected(person: Person) -> Iterator[socket.socket]:
    parts = urlsplit(person.base_url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60) as connection:
        yield connection


def read_error(connection: socket.socket) -> tuple[int, str]:
    """Return the status and error code of what is sent until the connection is closed."""
    answer = b""
    while more := connection.recv(65536):
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


def test_a_connection_that_sends_nothing_is_closed(impatient: Person) -> None:
    with connected(impatient) as connection:
        assert read_error(connection) == (408, "request_timeout")


def test_an_incomplete_head_is_answered_with_408(impatient: Person) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"GET /v1/files HTTP/1.1\r\nhost: x\r\nx-slow: ")
        assert read_error(connection) == (408, "request_timeout")


def test_an_incomplete_second_head_is_answered_with_408(impatient: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Impatient, "head_timeout_seconds", PATIENCE)
    with connected(impatient) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        monkeypatch.undo()
        connection.sendall(b"GET /livez HTTP/1.1\r\n")
        assert read_error(connection) == (408, "request_timeout")


def test_a_head_that_is_too_long_is_answered_with_431(alice: Person) -> None:
    with connected(alice) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-long: ")
        connection.sendall(b"a" * MAX_HEAD_BYTES)
        assert read_error(connection) == (431, "request_too_large")


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x02\x00", b"HELO x\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"])
def test_bytes_that_are_not_http_are_answered_with_400(alice: Person, nonsense: bytes) -> None:
    with connected(alice) as connection:
        connection.sendall(nonsense)
        assert read_error(connection) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/files", "/fine_tuning/jobs", "/chat/completions"])
def test_a_body_that_stops_is_answered_with_408(impatient: Person, path: str) -> None:
    with open_upload(impatient, 1000, path=path) as connection:
        connection.sendall(b"-")
        assert read_error(connection) == (408, "request_timeout")


def test_a_body_that_trickles_is_answered_with_408(impatient: Person) -> None:
    with open_upload(impatient, 1000, path="/fine_tuning/jobs") as connection:
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


def test_a_file_may_take_long_if_it_keeps_arriving(alice: Person) -> None:
    body, seconds = form(part("purpose", b"fine-tune"), part("file", lines(400), "train.jsonl")), 2.0
    step = len(body) // 20
    assert step > seconds * MIN_BYTES_PER_SECOND
    with (
        serving_bodies_within(seconds, Connection) as address,
        closing(Person(address, alice.api_key, alice.project_id)) as person,
        open_upload(person, len(body)) as connection,
    ):
        began = time.monotonic()
        for start in range(0, len(body), step):
            connection.sendall(body[start : start + step])
            time.sleep(seconds / 12)
        assert time.monotonic() - began > seconds
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert body.endswith(END)


def test_the_error_names_the_position_of_the_character(alice: Person) -> None:
    answer = send(alice, "POST", "/fine_tuning/jobs", rb'{"a\\b": "\ud83d\ude00", "model": "x\u0000"}')
    assert (answer.status, answer.error["code"]) == (400, "invalid_text")
    assert "at byte 36:" in answer.error["message"]
