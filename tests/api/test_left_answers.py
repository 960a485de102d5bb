"""Answers whose callers hang up before their end are counted all the same: by what they say, or by an estimate."""

import json
import socket
import time
from collections.abc import Callable
from threading import Event

import httpx2
import pytest

from tests.api.administration import Operator
from tests.api.test_chat import BASE, question
from tests.api.test_chat_limits import BODY, asking
from tests.api.test_inference_usage import CHUNK, DAY, LAST, SSE, written
from tests.hostile_servers import OK, OPEN_END, read_request, sending
from tests.servers import PATIENCE, until
from tests.world import Person

STREAM = {"model": BASE, "messages": question(), "stream": True}
PICTURE = f"data:image/png;base64,{'A' * 100_000}"


def leave(person: Person, body: bytes, has_enough: Callable[[bytes], bool]) -> bytes:
    """Ask, and hang up once enough of the answer has come. Returns that."""
    got = b""
    with person.http.stream("POST", "/chat/completions", content=body) as answer:
        pieces = answer.iter_raw()
        while not has_enough(got):
            got += next(pieces)
    return got


def hanging(*pieces: bytes) -> Callable[[socket.socket, Event], None]:
    return sending(*pieces, forever=b"", every=PATIENCE)


def test_a_stream_that_is_left_counts_what_was_passed_on_as_an_estimate(operator: Operator, alice: Person) -> None:
    with asking(hanging(SSE + OPEN_END, *[CHUNK] * 3)):
        leave(alice, json.dumps(STREAM).encode(), lambda got: got.count(CHUNK) == 3)
        [(requests, given, _, made)] = written(alice).values()
    assert (requests, 10 < given < 100, made) == (1, True, 3)
    page = operator.openai.admin.organization.usage.completions(
        start_time=int(time.time()) - DAY, project_ids=[alice.project_id]
    )
    [result] = page.data[-1].results
    assert result.to_dict()["estimated_requests"] == result.to_dict()["num_model_requests"] == 1


def test_a_picture_in_a_question_is_no_text(alice: Person) -> None:
    parts = [{"type": "image_url", "image_url": {"url": PICTURE}}, {"type": "text", "text": "What is this?"}]
    body = {**STREAM, "messages": [{"role": "user", "content": parts}]}
    with asking(hanging(SSE + OPEN_END, CHUNK)):
        leave(alice, json.dumps(body).encode(), lambda got: CHUNK in got)
        [(_, given, _, _)] = written(alice).values()
    assert given < 100


def test_a_stream_that_is_left_after_its_count_is_counted_by_it(alice: Person) -> None:
    with asking(hanging(SSE + OPEN_END, CHUNK, LAST)):
        leave(alice, json.dumps(STREAM | {"stream_options": {"include_usage": True}}).encode(), lambda got: LAST in got)
        assert written(alice) == {BASE: (1, 7, 0, 5)}


def test_an_answer_that_nobody_waits_for_is_read_to_its_count(alice: Person) -> None:
    """It has been made all the same. The caller hangs up before anything of it has come."""
    hung_up = Event()

    def answer(visitor: socket.socket, over: Event) -> None:
        read_request(visitor)
        assert hung_up.wait(PATIENCE)
        content = LAST.removeprefix(b"data: ")
        visitor.sendall(OK + b"content-length: %d\r\n\r\n" % len(content))
        visitor.sendall(content)

    with asking(answer) as visits:
        url = httpx2.URL(alice.base_url)
        with socket.create_connection((url.host, url.port), PATIENCE) as caller:
            head = f"POST {url.path.rstrip('/')}/chat/completions HTTP/1.1\r\nhost: {url.host}\r\n"
            head += f"authorization: {alice.http.headers['authorization']}\r\ncontent-length: {len(BODY)}\r\n\r\n"
            caller.sendall(head.encode() + BODY)
            until(lambda: visits.count)
        hung_up.set()
        assert written(alice) == {BASE: (1, 7, 0, 5)}


def test_an_answer_that_is_left_in_its_middle_is_read_to_its_count(alice: Person) -> None:
    content, has_left = LAST.removeprefix(b"data: "), Event()

    def answer(visitor: socket.socket, over: Event) -> None:
        read_request(visitor)
        visitor.sendall(OK + b"content-length: %d\r\n\r\n" % len(content) + content[:10])
        assert has_left.wait(PATIENCE)
        time.sleep(0.2)  # the api sees it in less; if not, the answer is counted all the same
        visitor.sendall(content[10:])

    with asking(answer):
        leave(alice, BODY, lambda got: got == content[:10])
        has_left.set()
        assert written(alice) == {BASE: (1, 7, 0, 5)}


def test_an_answer_that_is_left_and_does_not_end_is_estimated_by_its_length(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.chat.received.READ_ON_SECONDS", 0.5)
    with asking(hanging(OK + b"content-length: 9999\r\n\r\n" + b'{"choices": [' + b" " * 387)):
        leave(alice, BODY, lambda got: len(got) == 400)
        [(requests, _, _, made)] = written(alice).values()
    assert (requests, made) == (1, 100)
