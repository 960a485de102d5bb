"""A stream whose answer is to be paid says what it used, also where its caller has not asked for it."""

import json
from typing import Any

import pytest

from api.chat.hiding import MAX_LINE_BYTES, UsageHider, asking_for_usage
from tests.api.test_chat import BASE, question
from tests.api.test_inference_usage import CHUNK, LAST, written
from tests.api.training import meet_the_base_models
from tests.worker.support import settings
from tests.world import Person, Sandbox

FREE = '[{"provider": "openai", "base": "*", "input_per_million_tokens": 0, "output_per_million_tokens": 0}]'
DONE = b"data: [DONE]\n\n"
LONG = b"data: " + b"a" * 3 * MAX_LINE_BYTES + b"\n\n"


def shown(stream: bytes, size: int) -> bytes:
    hider = UsageHider()
    return b"".join(hider.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + hider.end()


@pytest.mark.parametrize("options", [None, {"include_usage": False}])
def test_a_stream_is_counted_whose_caller_does_not_ask_for_it(alice: Person, sandbox: Sandbox, options: Any) -> None:
    meet_the_base_models(alice)
    body = {"model": BASE, "messages": question(), "stream": True, "stream_options": options}
    with alice.http.stream("POST", "/chat/completions", json=body) as answer:
        got = answer.read()
    assert got.endswith(DONE)
    assert b'"content"' in got
    assert b'"usage"' not in got
    [(requests, given, _, made)] = written(alice).values()
    assert (requests, given > 0, made > 0) == (1, True, True)


def test_who_asks_gets_it(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    options: Any = {"include_usage": True}
    *_, last = alice.openai.chat.completions.create(
        model=BASE, messages=question(), stream=True, stream_options=options
    )
    assert last.usage is not None
    assert written(alice)[BASE][0] == 1


def test_what_costs_nothing_is_asked_as_it_is(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    with settings(TUNERY_PRICES=FREE):
        assert list(alice.openai.chat.completions.create(model=BASE, messages=question(), stream=True))
    alice.openai.chat.completions.create(model=BASE, messages=question())
    assert written(alice)[BASE][0] == 1  # the stream is not counted


STREAMS: dict[str, tuple[bytes, bytes]] = {
    "the event alone": (CHUNK + LAST + DONE, CHUNK + DONE),
    "with other ends of lines": ((CHUNK + LAST + DONE).replace(b"\n", b"\r\n"), (CHUNK + DONE).replace(b"\n", b"\r\n")),
    "at the end": (CHUNK + LAST, CHUNK),
    "beside an answer": (b'data: {"choices": [{}], "usage": {}}\n\n', b'data: {"choices": [{}], "usage": {}}\n\n'),
    "null": (b'data: {"choices": [], "usage": null}\n\n', b'data: {"choices": [], "usage": null}\n\n'),
    "no JSON": (b'data: "usage"\n\n', b'data: "usage"\n\n'),
    "cut": (b'data: {"choices": [], "usa', b'data: {"choices": [], "usa'),
    "a long line": (LONG, LONG),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_only_what_says_usage_alone_is_hidden(stream: str, size: int) -> None:
    given, left = STREAMS[stream]
    assert shown(given, size) == left


def test_a_line_that_does_not_end_is_not_kept() -> None:
    assert len(UsageHider().feed(b"a" * (MAX_LINE_BYTES + 1))) == MAX_LINE_BYTES + 1


WITH_USAGE = {"include_usage": True}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stream": False},
        {"stream": True, "stream_options": WITH_USAGE},
        {"stream": True, "stream_options": [WITH_USAGE]},
    ],
)
def test_other_bodies_are_left_as_they_are(fields: dict[str, Any]) -> None:
    assert asking_for_usage(json.dumps(fields).encode()) is None


def test_other_options_stay() -> None:
    body = asking_for_usage(b'{"stream": true, "stream_options": {"include_obfuscation": false}}')
    assert json.loads(body or b"")["stream_options"] == {"include_obfuscation": False, "include_usage": True}
