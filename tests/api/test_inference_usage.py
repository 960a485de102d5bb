"""GET /v1/organization/usage/completions: what answers say they have used, by project, model and day."""

import json
import time
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from api.chat.counting import counter
from api.chat.usage import KEPT_BYTES, UsageReader
from shared.database import transaction
from shared.db.times import utc_now
from shared.inference.models import DailyInference
from shared.inference.recording import MAX_MODELS_A_DAY, OTHER_MODELS, Used, add_to_day
from tests.api.administration import Operator
from tests.api.test_chat import BASE, question
from tests.api.test_chat_limits import BODY, asking
from tests.api.training import meet_the_base_models
from tests.api.wire import send
from tests.hostile_servers import answering
from tests.servers import until
from tests.world import Person, Sandbox

DAY = 86_400
OTHER = "gpt-4.1-2025-04-14"
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNK = b'data: {"choices": [{"delta": {"content": "a"}}], "usage": null}\n\n'
LAST = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}\n\n'


def written(person: Person, answers: int = 1) -> dict[str, tuple[int, int, int, int]]:
    """What the table has for a project, by model, once so many answers have been counted."""

    def seen() -> dict[str, tuple[int, int, int, int]] | None:
        counter.flush()
        with transaction(person.project_id) as session:
            rows = session.exec(select(DailyInference).where(DailyInference.project_id == person.project_id)).all()
            found = {row.model: (row.requests, row.input_tokens, row.cached_tokens, row.output_tokens) for row in rows}
        return found if sum(counts[0] for counts in found.values()) >= answers else None

    return until(seen) or {}


def read(answer: bytes, size: int = 1 << 20) -> Used | None:
    reader = UsageReader(is_stream=b"data: " in answer)
    for start in range(0, len(answer), size):
        reader.feed(answer[start : start + size])
    return reader.found()


@pytest.fixture
def asker(alice: Person, sandbox: Sandbox) -> Person:
    """Alice, once it is known which base models there are."""
    meet_the_base_models(alice)
    return alice


def test_answers_and_streams_are_counted_and_read_by_the_sdk(operator: Operator, asker: Person) -> None:
    whole = asker.openai.chat.completions.create(model=BASE, messages=question())
    options: Any = {"include_usage": True}
    chunks = list(
        asker.openai.chat.completions.create(model=BASE, messages=question(), stream=True, stream_options=options)
    )
    used = [whole.usage, chunks[-1].usage]
    given, made = sum(each.prompt_tokens for each in used if each), sum(each.completion_tokens for each in used if each)
    assert written(asker, 2) == {BASE: (2, given, 0, made)}
    page = operator.openai.admin.organization.usage.completions(
        start_time=int(time.time()) - DAY, group_by=["project_id", "model"]
    )
    assert [len(bucket.results) for bucket in page.data] == [0, 1]
    result: Any = page.data[1].results[0]
    assert (result.project_id, result.model, result.num_model_requests) == (asker.project_id, BASE, 2)
    assert (result.input_tokens, result.input_cached_tokens, result.output_tokens) == (given, 0, made)


def test_usage_is_summed_up_split_and_filtered(operator: Operator, alice: Person, bob: Person) -> None:
    today = utc_now().date()
    for person, model, day, tokens in [
        (alice, BASE, today, 1),
        (alice, OTHER, today, 10),
        (bob, BASE, today, 100),
        (bob, BASE, today - timedelta(days=1), 1000),
    ]:
        with transaction(person.project_id) as session:
            add_to_day(session, person.project_id, day, {model: Used(1, tokens, 0, 0)})
            add_to_day(session, person.project_id, day, {model: Used(1, tokens, 0, 0)})
    ask, since = operator.openai.admin.organization.usage.completions, int(time.time()) - DAY

    def tokens_of(**query: Any) -> list[list[tuple[Any, ...]]]:
        page = ask(start_time=since, **query)
        results: list[list[Any]] = [list(bucket.results) for bucket in page.data]
        return [[(each.project_id, each.model, each.input_tokens) for each in day] for day in results]

    assert tokens_of() == [[(None, None, 2000)], [(None, None, 222)]]
    assert tokens_of(group_by=["model"])[1] == sorted([(None, BASE, 202), (None, OTHER, 20)], key=lambda each: each[1])
    assert tokens_of(project_ids=[alice.project_id], models=[OTHER]) == [[], [(None, None, 20)]]
    first = ask(start_time=since, limit=1)
    assert (first.has_more, len(first.data)) == (True, 1)
    second = ask(start_time=since, limit=1, page=first.next_page or "")
    assert (second.has_more, second.data[0].start_time) == (False, first.data[0].end_time)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"start_time": "1", "bucket_width": "1h"}, "invalid_value"),
        ({"start_time": "1", "group_by[]": "user_id"}, "invalid_value"),
        ({"start_time": "1", "api_key_ids[]": "key_1"}, "unknown_parameter"),
        ({"start_time": "1", "limit": "32"}, "invalid_value"),
        ({"start_time": "1", "models[]": "a\x00b"}, "invalid_text"),
        ({"start_time": "5", "end_time": "5"}, "invalid_value"),
    ],
)
@pytest.mark.usefixtures("clean")
def test_an_unsupported_query_is_refused(operator: Operator, params: dict[str, str], code: str) -> None:
    answer = operator.http.get("/usage/completions", params=params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_stream_that_breaks_off_counts_what_it_has_said(alice: Person) -> None:
    head = SSE + b"content-length: 9999\r\n"
    with asking(answering(head, CHUNK + LAST + b'data: {"choi')):
        with alice.http.stream("POST", "/chat/completions", content=BODY) as answer:
            pieces = answer.iter_raw()
            with pytest.raises(httpx2.RemoteProtocolError):
                list(pieces)
        assert written(alice) == {BASE: (1, 7, 0, 5)}


def test_without_a_count_and_for_an_error_nothing_is_counted(alice: Person) -> None:
    with asking(answering(SSE, CHUNK + b"data: [DONE]\n\n")):
        assert send(alice, "POST", "/chat/completions", BODY).status == 200
    with asking(answering(b"HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\n", LAST.removeprefix(b"data: "))):
        assert send(alice, "POST", "/chat/completions", BODY).status == 400
    with asking(answering(SSE, LAST)):
        assert send(alice, "POST", "/chat/completions", BODY).status == 200
    assert written(alice) == {BASE: (1, 7, 0, 5)}


LONG = ["x" * 100] * KEPT_BYTES
RESPONSE = {"output": ["x" * 3 * KEPT_BYTES], "usage": {"input_tokens": 7, "output_tokens": 5}, "metadata": {}}
COUNTED = {
    "a chat": json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}, "x": None}),
    "on many lines": json.dumps({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}, indent=2),
    "a response": json.dumps(RESPONSE),
    "its last event": f"event: response.completed\ndata: {json.dumps({'response': RESPONSE, 'number': 3})}\n\n",
    "with [DONE]": (CHUNK + LAST + b"data: [DONE]\n\n").decode(),
    "with lines that end otherwise": (CHUNK + LAST).decode().replace("\n", "\r\n"),
    "followed by null": (LAST + CHUNK).decode(),
    "long before the end": json.dumps({"choices": [], **json.loads(LAST[6:]), "prompt_logprobs": LONG}),
    "between long parts": json.dumps({"choices": LONG, **json.loads(LAST[6:]), "metadata": LONG}),
    "long before the end of a stream": (LAST + CHUNK * 1000).decode(),
    "in a text, too": json.dumps({"text": json.dumps({"usage": {"prompt_tokens": 1}})})[:-1] + ", " + LAST.decode()[7:],
}


@pytest.mark.parametrize("answer", COUNTED)
@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_a_count_is_found_in_pieces_of_any_size(answer: str, size: int) -> None:
    assert read(COUNTED[answer].encode(), size) == Used(1, 7, 0, 5)


def test_cached_tokens_are_counted() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 4}}
    assert read(json.dumps({"usage": {"prompt_tokens": 7, **details}}).encode()) == Used(1, 7, 4, 0)


HOSTILE = {
    "none": "{}",
    "in a text": json.dumps({"choices": [{"text": json.dumps({"usage": {"prompt_tokens": 7}})}]}),
    "of something in a stream": 'data: {"choices": [{"delta": {"usage": {"prompt_tokens": 7}}}]}\n\n',
    "of something else": '{"metadata": {"usage": {"prompt_tokens": 7}}}',
    "negative": '{"usage": {"prompt_tokens": -7}}',
    "too large": '{"usage": {"prompt_tokens": 1e30}}',
    "larger": '{"usage": {"prompt_tokens": 99999999999999999999999}}',
    "no number": '{"usage": {"prompt_tokens": "7"}}',
    "no object": '{"usage": [7]}',
    "empty": '{"usage": {}}',
    "too deep": '{"usage": {"a": ' + "[" * 20_000,
    "many": '"usage":{' * 5000,
    "in a long text": json.dumps(
        {"choices": [{"text": json.dumps({"usage": {"prompt_tokens": 7}})}], "x": "x" * 99_999}
    ),
    "many in a long answer": '"usage":{' * 50_000,
    "null for long": '{"usage": null}' * 9999,
    "cut": '{"usage": {"prompt_tokens": 7',
}


@pytest.mark.parametrize("answer", HOSTILE)
def test_what_is_no_count_counts_nothing(answer: str) -> None:
    assert read(HOSTILE[answer].encode()) is None


def test_a_project_has_so_many_rows_a_day_and_no_more(alice: Person) -> None:
    today = utc_now().date()
    names = {f"model-{number}": Used(1, 1, 0, 1) for number in range(MAX_MODELS_A_DAY + 5)}
    for _ in range(2):
        with transaction(alice.project_id) as session:
            add_to_day(session, alice.project_id, today, names)
    found = written(alice)
    assert len(found) == MAX_MODELS_A_DAY + 1
    assert found[OTHER_MODELS] == (10, 10, 0, 10)


def test_a_project_sees_and_writes_its_own_rows_alone(alice: Person, bob: Person) -> None:
    today = utc_now().date()
    with transaction(alice.project_id) as session:
        add_to_day(session, alice.project_id, today, {BASE: Used(1, 1, 0, 1)})
    with transaction(bob.project_id) as session:
        assert session.execute(text("select count(*) from daily_inference")).scalar_one() == 0
    with pytest.raises(ProgrammingError, match="row-level security"), transaction(bob.project_id) as session:
        add_to_day(session, alice.project_id, today, {OTHER: Used(1, 1, 0, 1)})
