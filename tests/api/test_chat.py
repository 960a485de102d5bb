"""POST /v1/chat/completions."""

import json
from typing import Any

import pytest
from openai import APIConnectionError, APIStatusError, BadRequestError, InternalServerError, NotFoundError
from openai.types.chat import ChatCompletionMessageParam

from shared.database import transaction
from shared.projects.models import Credential
from tests.api.conftest import serving_under
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts, send
from tests.servers import Receiver
from tests.world import Person, Sandbox

BASE = "gpt-4o-mini-2024-07-18"
CHAT = "/v1/chat/completions"


def question(text: str = "Question 7") -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


@pytest.fixture
def asker(alice: Person, sandbox: Sandbox) -> Person:
    """Alice, once it is known which base models there are."""
    meet_the_base_models(alice)
    return alice


def test_a_tuned_model_answers_as_it_was_trained(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    answer = alice.openai.chat.completions.create(model=name, messages=question())
    assert answer.model == name
    assert answer.choices[0].message.content == "Answer 7"


def test_a_tuned_model_answers_word_by_word(alice: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    stream = alice.openai.chat.completions.create(
        model=name, messages=question(), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert told == "Answer 7"
    assert chunks[-1].usage


def test_a_stream_is_passed_on_as_server_sent_events(asker: Person) -> None:
    body = json.dumps({"model": BASE, "messages": question(), "stream": True}).encode()
    answer = send(asker, "POST", "/chat/completions", body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-request-id"]
    assert answer.body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("name", [BASE, "gpt-4o-mini"])
def test_a_base_model_answers_under_each_of_its_names(asker: Person, name: str) -> None:
    answer = asker.openai.chat.completions.create(model=name, messages=question("What is a loss?"))
    assert "loss" in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("stream", [False, True])
def test_another_projects_model_is_not_found(alice: Person, bob: Person, sandbox: Sandbox, stream: bool) -> None:
    name = model_of(train(alice, sandbox))
    with pytest.raises(NotFoundError) as refused:
        bob.openai.chat.completions.create(model=name, messages=question(), stream=stream)
    assert facts(refused.value) == (404, "model_not_found", "model")


def test_a_model_that_never_was_is_not_found_and_not_asked_for(asker: Person, sandbox: Sandbox) -> None:
    with pytest.raises(NotFoundError) as refused:
        asker.openai.chat.completions.create(model="gpt-never", messages=question())
    assert facts(refused.value) == (404, "model_not_found", "model")
    assert CHAT not in str(sandbox.http.get("/sandbox/requests").json()["requests"])


@pytest.mark.parametrize(
    "body",
    [
        '{"model": "%(alices)s", "model": "%(base)s", "messages": [%(message)s]}',
        '{"model": "%(base)s", "messages": [%(message)s], "mod\\u0065l": "%(alices)s"}',
        '{"Model": "%(alices)s", "model": "%(base)s", "messages": [%(message)s]}',
        '{"model": "%(base)s", "MODEL": "%(alices)s", "messages": [%(message)s]}',
    ],
)
def test_no_second_spelling_of_the_model_reaches_the_provider(
    alice: Person, bob: Person, sandbox: Sandbox, body: str
) -> None:
    alices, message = model_of(train(alice, sandbox)), json.dumps(question()[0])
    meet_the_base_models(bob)
    sent = body % {"alices": alices, "base": BASE, "message": message}
    answer = send(bob, "POST", "/chat/completions", sent.encode())
    assert answer.status in {200, 400, 404}
    assert answer.status != 200 or answer.json["model"] == BASE
    assert "Answer 7" not in answer.text


def test_the_provider_gets_the_judged_model_once_and_never_the_callers_key(alice: Person, receiver: Receiver) -> None:
    judged = {"id": BASE, "created": 1, "owned_by": "system", "shutdown_date": None}
    with transaction() as session:
        session.add(Credential(provider="openai", base_url=receiver.url, base_models=[judged]))
    with serving_under(TUNERY_PROVIDER__BASE_URL=receiver.url) as address:
        person = Person(address, alice.api_key, alice.project_id)
        answer = send(person, "POST", "/chat/completions", f'{{"model": "ft:hers", "model": "{BASE}"}}'.encode())
        person.close()
    assert answer.status == 200
    [(headers, body)] = receiver.received
    assert json.loads(body, object_pairs_hook=list) == [("model", BASE)]
    assert headers["authorization"] == "Bearer sk-sandbox"
    assert alice.api_key not in str(headers)


@pytest.mark.parametrize("body", ["", "[]", '"x"', "{", "{}", '{"model": null}', '{"model": 5}', '{"model": ["a"]}'])
def test_a_body_without_a_model_is_refused(alice: Person, body: str) -> None:
    answer = send(alice, "POST", "/chat/completions", body.encode())
    assert (answer.status, answer.error["param"]) == (400, "model")


def test_what_the_provider_refuses_is_refused_in_its_words(asker: Person) -> None:
    with pytest.raises(BadRequestError) as refused:
        asker.openai.chat.completions.create(model=BASE, messages=[])
    assert "messages" in str(refused.value.param)


def test_a_rate_limit_of_the_provider_is_passed_on(asker: Person, sandbox: Sandbox) -> None:
    error = {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}
    headers = {"retry-after": "7", "x-should-retry": "false", "set-cookie": "a=b"}
    sandbox.arm("POST", CHAT, status=429, body={"error": error}, headers=headers)
    with pytest.raises(APIStatusError) as refused:
        asker.openai.chat.completions.create(model=BASE, messages=question())
    assert facts(refused.value) == (429, "rate_limit_exceeded", None)
    assert refused.value.response.headers["retry-after"] == "7"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert "set-cookie" not in refused.value.response.headers


@pytest.mark.parametrize("status", [401, 403])
def test_a_provider_that_refuses_our_key_is_our_fault_and_not_the_callers(
    asker: Person, sandbox: Sandbox, status: int
) -> None:
    error = {"message": "Incorrect API key provided: sk-sandbox", "type": "x", "param": None, "code": "invalid_api_key"}
    sandbox.arm("POST", CHAT, status=status, body={"error": error})
    with pytest.raises(InternalServerError) as failed:
        asker.openai.chat.completions.create(model=BASE, messages=question())
    assert facts(failed.value) == (502, "provider_unavailable", None)
    assert "sk-sandbox" not in failed.value.response.text


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_of_the_provider_is_passed_on(asker: Person, sandbox: Sandbox, status: int) -> None:
    sandbox.arm("POST", CHAT, status=status)
    with pytest.raises(InternalServerError) as failed:
        asker.openai.chat.completions.create(model=BASE, messages=question())
    assert (failed.value.status_code, failed.value.type) == (status, "server_error")


def test_a_provider_that_hangs_up_is_told_as_unavailable(asker: Person, sandbox: Sandbox) -> None:
    sandbox.arm("POST", CHAT, drop="before")
    with pytest.raises(InternalServerError) as failed:
        asker.openai.chat.completions.create(model=BASE, messages=question())
    assert facts(failed.value) == (502, "provider_unavailable", None)
    assert failed.value.request_id


def test_every_field_of_the_caller_reaches_the_provider_unchanged(asker: Person, sandbox: Sandbox) -> None:
    values: dict[str, Any] = {"model": BASE, "messages": question("What is a loss?"), "stop": ["ü"], "top_p": 1.0}
    answer = send(asker, "POST", "/chat/completions", json.dumps(values, ensure_ascii=False).encode())
    straight = sandbox.http.post(CHAT, json=values).json()
    assert answer.json["choices"] == straight["choices"]


def test_a_question_larger_than_is_taken_is_refused(frugal: Person) -> None:
    with pytest.raises((APIStatusError, APIConnectionError)) as refused:
        frugal.openai.chat.completions.create(model=BASE, messages=question("a" * 30_000))
    assert isinstance(refused.value, APIStatusError)
    assert facts(refused.value) == (413, "request_too_large", None)
