"""The key of an account comes back in nothing that a chat passes on."""

import json
from typing import Any

import pytest

from api.chat.scrubbing import Scrubber, spellings
from tests.api.test_chat import BASE, CHAT, question
from tests.api.training import meet_the_base_models
from tests.api.wire import send
from tests.world import Person, Sandbox

KEY = "sk-sandbox"
SSE = {"content-type": "text/event-stream"}
EVENT = json.dumps({"error": {"message": f"bad header authorization: Bearer {KEY}", "code": KEY}})
ANSWERS: dict[str, dict[str, Any]] = {
    "a refusal": {"status": 400, "body": {"error": {"message": f"Bearer {KEY}", "code": KEY, "param": KEY}}},
    "a failure of a proxy": {"status": 502, "body": f"<p>authorization: Bearer {KEY}</p>"},
    "a header": {"status": 429, "body": {}, "headers": {"retry-after": KEY, "content-type": f"text/{KEY}"}},
    "an answer": {"status": 200, "body": f'{{"echo": "{KEY}"}}', "headers": {"content-type": "application/json"}},
    "an error in a stream": {"status": 200, "body": f"data: {EVENT}\n\ndata: [DONE]\n\n", "headers": SSE},
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_key_does_not_come_back(alice: Person, sandbox: Sandbox, answer: str) -> None:
    meet_the_base_models(alice)
    sandbox.arm("POST", CHAT, **ANSWERS[answer])
    got = send(alice, "POST", "/chat/completions", json.dumps({"model": BASE, "messages": question()}).encode())
    assert got.status == ANSWERS[answer]["status"]
    assert KEY not in f"{got.headers}{got.text}"
    assert "…" in got.text or answer == "a header"


SECRET = 'sk-a/b"c+d'


@pytest.mark.parametrize("written", spellings(SECRET))
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_it_is_found_in_pieces_of_any_size(written: bytes, size: int) -> None:
    said = b"data: sk-a is said, " + written + written + b" and sk-a/b too\n\n"
    scrubber = Scrubber(SECRET)
    got = b"".join(scrubber.feed(said[start : start + size]) for start in range(0, len(said), size)) + scrubber.end()
    assert got.decode() == "data: sk-a is said, …… and sk-a/b too\n\n"


def test_nothing_is_held_back_that_cannot_be_the_key() -> None:
    scrubber = Scrubber(SECRET)
    assert scrubber.feed(b'data: {"a": 1}\n\n') == b'data: {"a": 1}\n\n'
