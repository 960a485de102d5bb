"""Following a project's events: each once, whatever happens to the connection."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from openai import OpenAI
from starlette.requests import Request

from cli.failure import Failure
from cli.webhooks.follow import Following
from tests.servers import serving
from tests.world import Person


@dataclass
class Unsteady:
    """A server that hangs up: what it lists, the answers to who follows, one a connection, and whence these came."""

    listed: list[str] = field(default_factory=list)
    knows_events: bool = True
    answers: list[list[str] | int] = field(default_factory=list)
    asked_from: list[str | None] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    address: str = ""

    def answer(self, request: Request) -> Response:
        if "text/event-stream" not in request.headers.get("accept", ""):
            return JSONResponse({"data": [{"id": id} for id in self.listed]} if self.knows_events else "Hello")
        self.asked_from.append(request.headers.get("last-event-id"))
        answer = self.answers.pop(0)
        if isinstance(answer, int):
            return JSONResponse({"error": {"message": "No more of this"}}, answer)
        lines = [f"id: {id}\nevent: e\ndata: {json.dumps({'id': id})}\n\n" for id in answer]
        return PlainTextResponse(": alive\n\n" + "".join(lines), media_type="text/event-stream")

    def events(self) -> Iterator[str]:
        with OpenAI(base_url=self.address, api_key="sk-alice") as client:
            for event in Following(client, self.told.append).events():
                yield event["id"]


@pytest.fixture
def unsteady() -> Iterator[Unsteady]:
    app, server = FastAPI(), Unsteady()
    app.add_api_route("/v1/webhook_events", server.answer)
    with serving(app) as address:
        server.address = f"{address}/v1"
        yield server


def test_what_was_before_is_not_told_and_what_comes_is_told_as_the_api_gives_it(alice: Person) -> None:
    def make(type: str) -> Any:
        return alice.http.post("/webhook_events", json={"event_type": type}).json()

    make("dataset.failed")
    said: list[Any] = []
    events = Following(alice.openai, lambda _: said.append(make("dataset.processed"))).events()
    assert [next(events)] == said


def test_after_a_break_it_goes_on_where_it_was_and_repeats_nothing(unsteady: Unsteady) -> None:
    unsteady.listed, unsteady.answers = ["e1"], [["e1", "e2"], ["e1", "e2", "e3"], 503, ["e3", "e4"]]
    assert list(islice(unsteady.events(), 3)) == ["e2", "e3", "e4"]
    assert unsteady.asked_from == ["e1", "e2", "e3", "e3"]
    assert [sentence.split(" (")[0] for sentence in unsteady.told] == [
        "Ready. Ctrl-C stops it.",
        "The server is away",
        "The server is back.",
        "The server is away",
        "The server is back.",
    ]


def test_the_first_event_ever_is_not_missed_when_it_happens_during_a_break(unsteady: Unsteady) -> None:
    unsteady.answers = [[], ["e1", "e2"]]
    events = unsteady.events()
    unsteady.told = told = _Then(lambda: unsteady.listed.extend(["e2", "e1"]))
    assert list(islice(events, 2)) == ["e1", "e2"]
    assert unsteady.asked_from == [None, "e1"]
    assert told


class _Then(list[str]):
    """Somebody who does something once he is told that the server is away."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self._act = act

    def append(self, sentence: str) -> None:
        super().append(sentence)
        if sentence.startswith("The server is away"):
            self._act()


def test_a_last_event_that_is_not_known_any_more_begins_anew(unsteady: Unsteady) -> None:
    unsteady.listed, unsteady.answers = ["e1"], [["e2"], 404, ["e1", "e2", "e3"]]
    assert list(islice(unsteady.events(), 2)) == ["e2", "e3"]
    assert unsteady.asked_from == ["e1", "e2", "e1"]


@pytest.mark.parametrize(("status", "code"), [(401, 4), (403, 4), (400, 1)])
def test_a_refusal_ends_it_also_later(unsteady: Unsteady, status: int, code: int) -> None:
    unsteady.listed, unsteady.answers = ["e1"], [["e2"], status]
    events = unsteady.events()
    assert next(events) == "e2"
    with pytest.raises(Failure, match=r"No more of this\.") as refused:
        next(events)
    assert refused.value.exit_code == code


def test_a_server_that_cannot_at_the_start_ends_it(unsteady: Unsteady) -> None:
    unsteady.answers = [503]
    with pytest.raises(Failure, match="does not answer: HTTP 503") as refused:
        next(unsteady.events())
    assert refused.value.exit_code == 6


def test_an_address_that_lists_no_events_is_told(unsteady: Unsteady) -> None:
    unsteady.knows_events = False
    with pytest.raises(Failure, match="is no list of events"):
        next(unsteady.events())
