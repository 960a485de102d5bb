"""What the HTTP client makes of answers that are slow, endless, broken or no HTTP at all."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest

from tests.servers import Receiver, Visits, closed_port, talking
from worker.net import http_client

pytestmark = pytest.mark.usefixtures("server")  # for the settings
SHORT = timedelta(seconds=0.2)
LONG = timedelta(seconds=10)
Talk = Callable[[socket.socket, Event], None]


@pytest.fixture
def silent() -> Iterator[Visits]:
    """A server that must not be visited."""
    with talking(lambda visitor, over: None) as visits:
        yield visits


def post(url: str, timeout: timedelta = timedelta(seconds=5)) -> http_client.Response:
    return http_client.post(url, b"{}", {"content-type": "application/json"}, timeout)


def answer_of(talk: Talk, timeout: timedelta) -> http_client.Response:
    """The answer to a POST to a server that behaves like `talk`."""
    with talking(talk) as visits:
        return post(f"http://127.0.0.1:{visits.port}/", timeout)


def failure(talk: Talk, timeout: timedelta) -> str:
    """The sentence when a server that behaves like `talk` gives no usable answer."""
    with talking(talk) as visits, pytest.raises(http_client.Undeliverable) as undeliverable:
        post(f"http://127.0.0.1:{visits.port}/", timeout)
    assert undeliverable.value.address == f"127.0.0.1:{visits.port}"
    return str(undeliverable.value)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "", "http://", "http://a:b/"])
def test_a_url_that_is_not_http_is_undeliverable(url: str) -> None:
    with pytest.raises(http_client.Undeliverable) as undeliverable:
        post(url)
    assert undeliverable.value.address is None


def test_an_answer_comes_with_the_address_that_gave_it(receiver: Receiver) -> None:
    receiver.headers = {"Retry-After": "120"}
    answer = post(receiver.url)
    assert (answer.status, answer.body, answer.address) == (200, b"ok", receiver.url.split("/")[2])
    assert dict(answer.headers)["retry-after"] == "120"
    assert post(receiver.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")).address == answer.address
    headers, body = receiver.received[0]
    assert (headers["host"], headers["content-length"], body) == (answer.address, "2", b"{}")


def test_a_refused_connection_is_reported() -> None:
    port = closed_port()
    with pytest.raises(http_client.Undeliverable, match="no connection: Connection refused") as undeliverable:
        post(f"http://127.0.0.1:{port}/")
    assert undeliverable.value.address == f"127.0.0.1:{port}"


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, silent: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{silent.port}")
    monkeypatch.setenv("no_proxy", "")
    assert post(receiver.url).status == 200
    with pytest.raises(http_client.Undeliverable):
        post(receiver.url.replace("http://", "https://"))
    assert silent.count == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver, silent: Visits, status: int) -> None:
    receiver.answers, receiver.headers = [status], {"location": f"http://127.0.0.1:{silent.port}/"}
    assert post(receiver.url).status == status
    assert (silent.count, len(receiver.received)) == (0, 1)


def test_a_cookie_is_not_sent_back(receiver: Receiver) -> None:
    receiver.headers = {"set-cookie": "who=you; Path=/"}
    assert [post(receiver.url).status for _ in range(2)] == [200, 200]
    assert not any("cookie" in headers for headers, _ in receiver.received)


def saying(*pieces: bytes, every: float = 0, forever: bytes = b"") -> Talk:
    """Sends `pieces` at once, and then `forever` again and again."""

    def talk(visitor: socket.socket, over: Event) -> None:
        visitor.recv(65536)
        for piece in pieces:
            visitor.sendall(piece)
        while forever and not over.wait(every):
            visitor.sendall(forever)
        over.wait(0 if forever else 5)

    return talk


def closing_after(*pieces: bytes) -> Talk:
    """Sends `pieces` and closes the connection."""

    def talk(visitor: socket.socket, over: Event) -> None:
        visitor.recv(65536)
        visitor.sendall(b"".join(pieces))

    return talk


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
SLOW_TO_ANSWER: dict[str, Talk] = {
    "silence": saying(b""),
    "a status line by the byte": saying(b"HTTP/1.1 200 ", forever=b"O", every=0.05),
    "headers by the byte": saying(OK, forever=b"x", every=0.05),
    "header after header": saying(OK, forever=b"x: y\r\n", every=0.05),
    "one interim answer after another": saying(forever=b"HTTP/1.1 100 Continue\r\n\r\n", every=0.05),
}
SLOW_TO_END: dict[str, Talk] = {
    "a body by the byte": saying(OK, b"content-length: 9999\r\n\r\n", forever=b"x", every=0.05),
    "a body without an end": saying(OK, b"\r\n", forever=b"x", every=0.05),
    "a chunked body by the byte": saying(OK, CHUNKED, forever=b"1\r\nx\r\n", every=0.05),
    "a body that is not finished": saying(OK, b"content-length: 10\r\n\r\nx"),
}


@pytest.mark.parametrize("talk", SLOW_TO_ANSWER.values(), ids=SLOW_TO_ANSWER.keys())
def test_a_call_ends_at_its_timeout_however_slowly_the_head_comes(talk: Talk) -> None:
    assert failure(talk, SHORT) == "no answer within 0.2 s"


@pytest.mark.parametrize("talk", SLOW_TO_END.values(), ids=SLOW_TO_END.keys())
def test_an_answer_whose_body_does_not_end_is_reported_with_its_status(talk: Talk) -> None:
    assert failure(talk, SHORT) == "HTTP 200, but not all of its body within 0.2 s"


def test_a_call_ends_at_its_timeout_when_the_server_does_not_read() -> None:
    def wait(visitor: socket.socket, over: Event) -> None:
        over.wait(5)

    with talking(wait) as visits, pytest.raises(http_client.Undeliverable, match="no answer"):
        http_client.post(f"http://127.0.0.1:{visits.port}/", b"x" * (16 << 20), {}, SHORT)


ENDLESS = {
    "body": (saying(OK, b"\r\n", forever=b"x" * 65536), http_client.MAX_BODY_BYTES),
    "chunks": (saying(OK, CHUNKED, forever=b"1000\r\n" + b"x" * 4096 + b"\r\n"), http_client.MAX_BODY_BYTES),
    "chunks of nearly nothing": (saying(OK, CHUNKED, forever=b"1;" + b"a" * 8192 + b"\r\nx\r\n"), 64),
}


@pytest.mark.parametrize(("talk", "most"), ENDLESS.values(), ids=ENDLESS.keys())
def test_no_more_of_an_endless_answer_is_read_than_is_kept(talk: Talk, most: int) -> None:
    answer = answer_of(talk, LONG)
    assert answer.status == 200
    assert 0 < len(answer.body) <= most
    assert set(answer.body) == {ord("x")}


CLOSED = "the connection was closed before the answer was complete"
TOO_LARGE = "the header of its answer is endless, or larger than 32 KiB"
NO_HTTP = "what it answers is not HTTP"
NO_BODY = "the body of its answer is not valid HTTP"
NONSENSE: dict[str, tuple[Talk, str]] = {
    "endless headers": (saying(OK, forever=b"x: " + b"y" * 4096 + b"\r\n"), TOO_LARGE),
    "one endless header": (saying(OK + b"x: ", forever=b"y" * 4096), TOO_LARGE),
    "a header of a megabyte": (saying(OK + b"x: " + b"y" * (1 << 20) + b"\r\n\r\n"), TOO_LARGE),
    "an endless status line": (saying(b"HTTP/1.1 200 ", forever=b"O" * 4096), TOO_LARGE),
    "endless interim answers": (saying(forever=b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n"), TOO_LARGE),
    "another protocol": (saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), NO_HTTP),
    "another protocol that waits": (saying(b"220 mail.example ESMTP\r\n"), NO_HTTP),
    "TLS": (saying(b"\x15\x03\x01\x00\x02\x02\x46"), NO_HTTP),
    "HTTP/2": (saying(b"HTTP/2 200\r\n\r\n"), NO_HTTP),
    "a header with NUL": (saying(OK + b"x: \x00\r\n\r\n"), NO_HTTP),
    "a switch of protocols": (saying(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"), NO_HTTP),
    "an end": (closing_after(), CLOSED),
    "half a header": (closing_after(OK), CLOSED),
    "half a body": (closing_after(OK, b"content-length: 10\r\n\r\nx"), CLOSED),
    "half a chunk": (closing_after(OK, CHUNKED, b"5\r\nx"), CLOSED),
    "chunks of nonsense": (saying(OK, CHUNKED, b"secret nonsense\r\n"), NO_BODY),
    "a chunk without an end": (saying(OK, CHUNKED, b"1\r\nsecret nonsense\r\n"), NO_BODY),
    "a chunk's length without an end": (saying(OK, CHUNKED, forever=b"0" * 4096), NO_BODY),
    "an endless trailer": (saying(OK, CHUNKED, b"0\r\n", forever=b"x: " + b"y" * 4096 + b"\r\n"), NO_BODY),
}


@pytest.mark.parametrize(("talk", "why"), NONSENSE.values(), ids=NONSENSE.keys())
def test_an_invalid_answer_is_reported_at_once_and_not_in_its_own_words(talk: Talk, why: str) -> None:
    assert failure(talk, LONG) == why


def test_many_threads_can_send_at_the_same_time() -> None:
    with talking(closing_after(OK, b"\r\n", b"ok")) as visits, ThreadPoolExecutor(32) as threads:
        bodies = list(threads.map(lambda _: post(f"http://127.0.0.1:{visits.port}/", LONG).body, range(64)))
    assert (bodies, visits.count) == ([b"ok"] * 64, 64)


def test_an_answer_that_comes_before_the_request_was_read_counts() -> None:
    def talk(visitor: socket.socket, over: Event) -> None:
        visitor.recv(10)
        visitor.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        visitor.shutdown(socket.SHUT_RD)
        over.wait(5)

    with talking(talk) as visits:
        answer = http_client.post(f"http://127.0.0.1:{visits.port}/", b"x" * 1000, {}, LONG)
    assert answer.status == 413


def test_a_bounded_part_of_the_headers_is_kept_and_retry_after_first() -> None:
    many = [b"x-%d: y\r\n" % number for number in range(60)]
    large = [b"large: " + b"z" * 3000 + b"\r\n"] * 3
    odd = [b"odd: caf\xc3\xa9 \xff\x1b[31m\r\n"]
    head = b"".join([OK, *odd, *large, *many, b"Retry-After: 7\r\n", b"content-length: 0\r\n\r\n"])
    headers = answer_of(saying(head), LONG).headers
    assert headers[:2] == [("retry-after", "7"), ("odd", "café \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31m")]
    assert len(headers) == 50
    assert [name for name, _ in headers].count("large") == 1
    assert len("".join(name + value for name, value in headers).encode()) <= 4096
