"""The playground's answers come as they are made, in one stream; each says in words why it is missing or not whole."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from tests.api.test_chat import BASE
from tests.api.test_chat_limits import asking
from tests.api.training import meet_the_base_models
from tests.dashboard.signed_in import a_browser, sign_in
from tests.hostile_servers import answering
from tests.world import Person, Sandbox

CHAT = "/v1/chat/completions"
HTMX = {"hx-request": "true"}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
ASKED = {"model": [BASE], "prompt": ["Hello"]}


def chunk(text: str, **choice: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}, **choice}]}).encode() + b"\n\n"


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def test_all_answers_of_a_page_come_in_one_stream(alice: Person, sandbox: Sandbox, browser: httpx2.Client) -> None:
    meet_the_base_models(alice)
    asked = {"model": [BASE, "gpt-never"], "prompt": ["What is <b>?", "What is a loss?"]}
    answer = browser.post("/playground", data=asked, headers=HTMX)
    assert answer.headers["content-type"].startswith("text/event-stream")
    text = answer.text
    assert text.count('aria-busy="true"') == 4
    assert text.count('name="answer"') == 4
    assert text.count("does not exist or you do not have access") >= 2
    for number in (0, 2):
        assert f'<hx-partial hx-target="#said-{number}" hx-swap="beforeend">' in text
    assert "<b>" not in text
    asked_for = sandbox.http.get("/sandbox/requests").json()["requests"]
    assert asked_for[f"POST {CHAT}"] == 2


def test_a_name_with_a_nul_is_refused_and_asks_nothing(browser: httpx2.Client) -> None:
    asked = {"model": [BASE, "\0"], "prompt": ["Hello"]}
    for headers in ({}, HTMX):
        refused = browser.post("/playground", data=asked, headers=headers)
        assert (refused.status_code, "A NUL is in no model" in refused.text) == (400, True)


def test_what_fails_unexpectedly_ends_only_its_own_answer(browser: httpx2.Client) -> None:
    nested = b"data: " + b"[" * 500_000 + b"\n\n"  # deeper than Python reads
    with asking(answering(HEAD, chunk("Half") + nested)):
        text = browser.post("/playground", data={**ASKED, "prompt": ["Hello", "Again"]}).text
    assert text.count(">Half</p>") == 2
    assert text.count("your operator finds in the log</bdi>") == 2


def test_a_model_that_is_loading_is_asked_again(alice: Person, sandbox: Sandbox, browser: httpx2.Client) -> None:
    meet_the_base_models(alice)
    sandbox.arm("POST", CHAT, refusal="model_loading", headers={"retry-after": "1"})
    text = browser.post("/playground", data=ASKED, headers=HTMX).text
    assert "The model is still being loaded. It is asked again in 1 s." in text
    assert 'class="wrong"' not in text
    assert "tokens</p>" in text
    sandbox.arm("POST", CHAT, refusal="model_loading", headers={"retry-after": "3600"})
    text = browser.post("/playground", data=ASKED, headers=HTMX).text
    assert '<p class="wrong"><bdi dir="auto">The model is still being loaded.</bdi></p>' in text


BROKEN = {
    "it ends in the middle": (chunk("Half"), "The answer broke off"),
    "it sends an error": (chunk("Half") + b'data: {"error": {"message": "Out of memory"}}\n\n', "Out of memory"),
    "it sends something else": (chunk("Half") + b"data: [\n\n", "The provider&#39;s answer cannot be read"),
    "a line has no end": (chunk("Half") + b"data: " + b"x" * (2 << 20), "The provider&#39;s answer cannot be read"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_answer_that_breaks_off_keeps_what_came_and_says_why(browser: httpx2.Client, how: str) -> None:
    sent, why = BROKEN[how]

    with asking(answering(HEAD, sent)):
        text = browser.post("/playground", data=ASKED).text
    assert ">Half</p>" in text
    assert f'<p class="wrong"><bdi dir="auto">{why}</bdi></p>' in text


ODD = {
    "half of a surrogate pair": (b'data: {"choices": [{"delta": {"content": "a\\ud83db"}}]}\n\n', ">a?b<"),
    "a count that is none": (chunk("a") + b'data: {"choices": [], "usage": {"completion_tokens": "many"}}\n\n', ">a<"),
    "a count without end": (
        chunk("a") + b'data: {"choices": [], "usage": {"completion_tokens": 1%b}}\n\n' % (b"0" * 400),
        ">a<",
    ),
    "an error with half of a pair": (b'data: {"error": {"message": "a\\ud83db"}}\n\n', ">a?b<"),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_values_of_a_provider_break_no_page(browser: httpx2.Client, what: str) -> None:
    sent, shown = ODD[what]
    with asking(answering(HEAD, sent + b"data: [DONE]\n\n")):
        page = browser.post("/playground", data=ASKED)
        stream = browser.post("/playground", data=ASKED, headers=HTMX)
    assert (page.status_code, shown in page.text) == (200, True)
    assert stream.text.count('name="answer"') == 1


def test_an_answer_that_is_cut_off_says_so(browser: httpx2.Client) -> None:
    ending = chunk("a", finish_reason="length") + b"data: [DONE]\n\n"
    with asking(answering(HEAD, ending)):
        assert "the most tokens were reached" in browser.post("/playground", data=ASKED).text
