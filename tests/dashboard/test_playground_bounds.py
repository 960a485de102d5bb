"""One page of the playground asks no more, and no longer, than the same chats through the API."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from api.chat.concurrency import slots
from api.dashboard.asking.answers import AT_ONCE
from tests.api.test_chat import BASE
from tests.api.test_chat_limits import asking
from tests.dashboard.signed_in import a_browser, sign_in
from tests.hostile_servers import OK, OPEN_END, answering, sending
from tests.servers import until
from tests.world import Person

ASKED = {"model": [BASE] * 4, "prompt": [f"Question {number}" for number in range(8)]}
HANGING = sending(OK + OPEN_END, forever=b" ", every=0.2)


@pytest.fixture
def browser(alice: Person) -> Iterator[httpx2.Client]:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        yield browser


def test_each_chat_of_a_page_counts_as_a_request(alice: Person) -> None:
    answer = json.dumps({"choices": [{"message": {"content": "Hello"}}]}).encode()
    limit = 6
    with (
        asking(answering(OK, answer), TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE=str(limit)) as visits,
        a_browser(alice.base_url) as browser,
    ):
        sign_in(browser, alice.api_key)
        page = browser.post("/playground", data=ASKED).text
    assert f"The limit of {limit} requests per minute is reached" in page
    assert visits.count <= 2 * limit  # a minute may end meanwhile


def test_nothing_more_is_asked_once_the_client_has_left(alice: Person, browser: httpx2.Client) -> None:
    with asking(HANGING) as visits:
        with pytest.raises(httpx2.ReadTimeout):
            browser.post("/playground", data=ASKED, timeout=3)
        until(lambda: not slots.count(alice.project_id))
        assert visits.count <= AT_ONCE


def test_a_page_takes_no_longer_than_one_chat_may(browser: httpx2.Client) -> None:
    with asking(HANGING, TUNERY_CHAT__TIMEOUT="2") as visits:
        page = browser.post("/playground", data=ASKED).text
    assert page.count("No answer within 2 seconds</bdi>") == 32
    assert visits.count <= AT_ONCE
