"""How many chats run at once, how long one may take, and how large its answer may become."""

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2
import pytest

from api.chat.concurrency import ChatSlots
from shared.database import transaction
from shared.errors import ChatLimitReached
from shared.projects.models import Credential
from tests.api.test_chat import BASE, question
from tests.api.wire import send
from tests.hostile_servers import DRIPPING, OK, OPEN_END, Talk, answering, bomb, sending
from tests.servers import PATIENCE, Visits, talking, until
from tests.worker.support import settings
from tests.world import Person

BODY = json.dumps({"model": BASE, "messages": question()}).encode()


@contextmanager
def asking(talk: Talk, **values: str) -> Iterator[Visits]:
    """The api with other settings, and a provider that behaves like `talk`."""
    with talking(talk) as visits:
        url = f"http://127.0.0.1:{visits.port}/v1"
        judged = {"id": BASE, "created": 1, "owned_by": "system", "shutdown_date": None}
        with transaction() as session:
            session.add(Credential(provider="openai", base_url=url, base_models=[judged]))
        with settings(TUNERY_PROVIDER__BASE_URL=url, **values):
            yield visits


@pytest.mark.parametrize("limit", ["TUNERY_CHAT__MAX_PER_PROJECT", "TUNERY_CHAT__MAX_PER_ACCOUNT"])
def test_a_chat_too_many_is_refused_in_a_moment_and_taken_when_one_has_ended(alice: Person, limit: str) -> None:
    hanging = sending(OK + OPEN_END, forever=b"", every=PATIENCE)
    with asking(hanging, TUNERY_CHAT__MAX_WAIT="0.1", **{limit: "1"}) as visits, ThreadPoolExecutor() as pool:
        first = pool.submit(send, alice, "POST", "/chat/completions", BODY)
        until(lambda: visits.count)
        refused = send(alice, "POST", "/chat/completions", BODY)
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (429, "too_many_chats")
        assert refused.headers["retry-after"] == "1"
        assert send(alice, "GET", "/models").status == 200
        visits.over.set()
        assert first.result(PATIENCE).status == 200
        assert send(alice, "POST", "/chat/completions", BODY).status == 200


ENDLESS: dict[str, Talk] = {
    "a stream that never ends": sending(OK + OPEN_END, forever=b"data: {}\n\n" * 1000),
    "an error that never ends": sending(b"HTTP/1.1 500 Oh\r\n" + OPEN_END, forever=b"a" * 10_000),
    "a gzip bomb": answering(OK + b"content-encoding: gzip\r\n", b"".join(bomb(20 << 20))),
    "drops": DRIPPING["a body in drops"],
}


@pytest.mark.parametrize("talk", ENDLESS)
def test_an_answer_without_end_breaks_off(alice: Person, talk: str) -> None:
    with asking(ENDLESS[talk], TUNERY_CHAT__MAX_ANSWER_BYTES="100000", TUNERY_CHAT__TIMEOUT="3"):
        got: list[bytes] = []
        with alice.http.stream("POST", "/chat/completions", content=BODY) as answer:
            pieces = answer.iter_raw()
            with pytest.raises(httpx2.RemoteProtocolError):
                got.extend(pieces)
        assert sum(map(len, got)) <= 100_000


def test_a_client_that_does_not_read_keeps_its_slot_no_longer_than_a_chat_may_take(alice: Person) -> None:
    values = {"TUNERY_CHAT__TIMEOUT": "5", "TUNERY_CHAT__MAX_PER_PROJECT": "1", "TUNERY_CHAT__MAX_WAIT": "0.1"}
    unread = alice.http.stream("POST", "/chat/completions", content=BODY)
    with asking(ENDLESS["a stream that never ends"], **values), unread as first:
        assert first.status_code == 200
        deadline, status = time.monotonic() + PATIENCE, 429
        while status == 429:
            assert time.monotonic() < deadline
            with alice.http.stream("POST", "/chat/completions", content=BODY) as answer:
                status = answer.status_code


def test_a_head_in_drops_is_no_answer(alice: Person) -> None:
    with asking(DRIPPING["a head in drops"], TUNERY_CHAT__TIMEOUT="1"):
        answer = send(alice, "POST", "/chat/completions", BODY)
    assert (answer.status, answer.error["code"]) == (502, "provider_unavailable")


@pytest.mark.usefixtures("server")  # for the settings
def test_places_are_passed_on_in_turn_and_come_back_whatever_happens() -> None:
    async def scene() -> list[str]:
        slots, told, may_leave = ChatSlots(), list[str](), asyncio.Event()

        async def chat(name: str) -> None:
            try:
                async with slots.one("proj", 1, "The project"):
                    told.append(name)
                    await may_leave.wait()
            except ChatLimitReached:
                told.append(f"{name} refused")

        first = asyncio.create_task(chat("first"))
        await asyncio.sleep(0)
        second = asyncio.create_task(chat("second"))
        await asyncio.sleep(0)
        await chat("third")
        assert told == ["first", "third refused"]
        first.cancel()
        await asyncio.wait({first})
        while "second" not in told:
            await asyncio.sleep(0)
        may_leave.set()
        await second
        async with slots.one("proj", 1, "The project"):
            assert slots.count("proj") == 1
        assert slots.count("proj") == 0
        return told

    assert asyncio.run(scene()) == ["first", "third refused", "second"]
