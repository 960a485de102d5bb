"""POST /v1/completions."""

import json
from collections.abc import Iterator

import httpx2
import pytest
from openai import AzureOpenAI, NotFoundError, OpenAI

from shared.database import transaction
from shared.projects.models import Credential
from shared.providers.dialects import ADDRESSING, Dialect, Endpoint
from tests.api.conftest import serving_under
from tests.api.test_chat import BASE
from tests.api.test_chat_limits import asking
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts, send
from tests.hostile_servers import answering
from tests.servers import Receiver
from tests.world import Person, Sandbox

PATH = "/v1/completions"
SSE = {"content-type": "text/event-stream"}
HEAD = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": BASE}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
BODY = json.dumps({"model": BASE, "prompt": "Once", "stream": True}).encode()


def piece(text: str, finish: str | None = None) -> dict[str, object]:
    return {**HEAD, "choices": [{"index": 0, "text": text, "finish_reason": finish, "logprobs": None}]}


def events(*pieces: object) -> str:
    return "".join(f"data: {json.dumps(each)}\n\n" for each in pieces)


@pytest.fixture
def asker(alice: Person, sandbox: Sandbox) -> Iterator[Person]:
    """Alice, once it is known which base models there are."""
    meet_the_base_models(alice)
    yield alice
    sandbox.disarm()


def test_a_text_is_continued(asker: Person, sandbox: Sandbox) -> None:
    sandbox.arm("POST", PATH, status=200, body={**piece(" upon a time", "stop"), "usage": USAGE})
    answer = asker.openai.completions.create(model=BASE, prompt="Once")
    assert answer.choices[0].text == " upon a time"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


def test_a_text_is_continued_piece_by_piece(asker: Person, sandbox: Sandbox) -> None:
    body = events(piece(" upon"), piece(" a time", "stop")) + "data: [DONE]\n\n"
    sandbox.arm("POST", PATH, status=200, body=body, headers=SSE)
    # Not the strict client: it refuses a null `finish_reason`, which OpenAI sends with all pieces but the last one.
    with OpenAI(base_url=asker.base_url, api_key=asker.api_key) as client:
        stream = client.completions.create(model=BASE, prompt="Once", stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == " upon a time"


def test_the_provider_gets_the_judged_model_and_the_prompt(alice: Person, receiver: Receiver) -> None:
    judged = {"id": BASE, "created": 1, "owned_by": "system", "shutdown_date": None}
    with transaction() as session:
        session.add(Credential(provider="openai", base_url=receiver.url, base_models=[judged]))
    with serving_under(TUNERY_PROVIDER__BASE_URL=receiver.url) as address:
        person = Person(address, alice.api_key, alice.project_id)
        answer = send(
            person, "POST", "/completions", f'{{"model": "ft:hers", "model": "{BASE}", "prompt": [1]}}'.encode()
        )
        person.close()
    assert answer.status == 200
    [(headers, body)] = receiver.received
    assert json.loads(body, object_pairs_hook=list) == [("model", BASE), ("prompt", [1])]
    assert headers["authorization"] == "Bearer sk-sandbox"


@pytest.mark.parametrize("stream", [False, True])
def test_another_projects_model_is_not_found(alice: Person, bob: Person, sandbox: Sandbox, stream: bool) -> None:
    name = model_of(train(alice, sandbox))
    with pytest.raises(NotFoundError) as refused:
        bob.openai.completions.create(model=name, prompt="Once", stream=stream)
    assert facts(refused.value) == (404, "model_not_found", "model")
    assert PATH not in str(sandbox.http.get("/sandbox/requests").json()["requests"])


@pytest.mark.parametrize("body", ["", "[]", "{", '{"prompt": "Once"}', '{"model": 5}'])
def test_a_body_without_a_model_is_refused(alice: Person, body: str) -> None:
    answer = send(alice, "POST", "/completions", body.encode())
    assert (answer.status, answer.error["param"]) == (400, "model")


def test_a_model_is_not_named_in_capitals(alice: Person) -> None:
    answer = send(alice, "POST", "/completions", b'{"model": "a", "Model": "b"}')
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "reference_not_allowed", "Model")


def test_a_stream_that_breaks_off_at_the_provider_breaks_off_here(alice: Person) -> None:
    half = events(piece(" upon")).encode() + b'data: {"id": "cm'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n"
    got: list[bytes] = []
    with asking(answering(head, half)), alice.http.stream("POST", "/completions", content=BODY) as answer:
        pieces = answer.iter_raw()
        with pytest.raises(httpx2.RemoteProtocolError):
            got.extend(pieces)
    assert b"".join(got) == half


def test_an_answer_that_is_none_is_passed_on_as_it_is(alice: Person) -> None:
    with asking(answering(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n", b"data: [\n\n\xff")):
        answer = send(alice, "POST", "/completions", BODY)
    assert (answer.status, answer.body) == (200, b"data: [\n\n\xff")


@pytest.mark.parametrize(
    "dialect", [each for each in Dialect if Endpoint.COMPLETIONS not in ADDRESSING[each].endpoints]
)
def test_a_provider_without_the_endpoint_is_not_asked(alice: Person, receiver: Receiver, dialect: Dialect) -> None:
    judged = {"id": "judged", "created": 1, "owned_by": "system", "shutdown_date": None}
    with transaction(alice.project_id) as session:
        own = Credential(project_id=alice.project_id, name="own", provider=dialect, base_url=receiver.url)
        own.dialect, own.base_models = dialect, [judged]
        session.add(own)
    with pytest.raises(NotFoundError) as refused:
        alice.openai.completions.create(model="judged", prompt="Once")
    assert facts(refused.value) == (404, "endpoint_not_at_provider", "model")
    assert "/v1/chat/completions" in refused.value.message
    assert receiver.received == []


def test_azures_client_asks_the_model_of_the_path(asker: Person, sandbox: Sandbox) -> None:
    sandbox.arm("POST", PATH, status=200, body=piece(" upon a time", "stop"))
    root = asker.base_url.removesuffix("/v1")
    with AzureOpenAI(azure_endpoint=root, api_key=asker.api_key, api_version="2024-10-21") as client:
        assert client.completions.create(model=BASE, prompt="Once").choices[0].text == " upon a time"
        with pytest.raises(NotFoundError, match="ft:never:made"):
            client.completions.create(model="ft:never:made", prompt="Once")
