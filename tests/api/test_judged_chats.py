"""What of a chat or a completion is passed on, and what may lead to something stored at a shared account and is not."""

import inspect
import json
from typing import Any

import pytest
from openai import BadRequestError
from openai.resources.chat.completions import Completions
from openai.resources.completions import Completions as TextCompletions
from openai.resources.responses import Responses

from api.chat.asked import MAX_TEXTS, decode
from api.chat.judging import FIELDS
from shared.errors import Invalid
from shared.providers.dialects import Endpoint
from tests.api.test_chat import BASE, CHAT, question
from tests.api.training import meet_the_base_models
from tests.api.wire import facts
from tests.world import Person, Sandbox

OF_THE_CALL = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
IMAGE = "data:image/png;base64,iVBORw0KGgo="


def said(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts), **more}]}


def passed(endpoint: Endpoint = Endpoint.CHAT, **more: Any) -> Any:
    return json.loads(decode(json.dumps({"model": BASE, **more}).encode(), endpoint, None)[1])


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PASSED: dict[str, dict[str, Any]] = {
    "a text": {"messages": question()},
    "parts": said(
        {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": IMAGE, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "HTTPS://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
    ),
    "calls of tools": {
        "messages": [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "1"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"file_id": {"type": "string"}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
    },
    "fields of open weights": {"messages": [], "top_k": 5, "chat_template_kwargs": {"enable_thinking": False}},
    "more of them": {"messages": [], "use_beam_search": False, "truncate_prompt_tokens": 9, "return_token_ids": True},
    "what the SDK has parsed": {"messages": [{"role": "assistant", "content": "{}", "parsed": {"a": 1}}]},
    "a prediction": {"messages": [], "prediction": {"type": "content", "content": "x"}},
    "a voice": {"messages": [], "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
    "nothing stored": {"messages": [], "store": False},
}


@pytest.mark.parametrize("what", PASSED)
def test_what_refers_to_nothing_is_passed_on_as_it_is(what: str) -> None:
    assert passed(**PASSED[what]) == {"model": BASE, **PASSED[what]}


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a stored chat": ("store", {"messages": [], "store": True}),
    "a file": ("messages[0].content[0].file.file_id", said({"type": "file", "file": {"file_id": "file-1"}})),
    "a file beside data": (
        "messages[0].content[0].file.file_id",
        said({"type": "file", "file": {"file_data": "x", "file_id": "file-1"}}),
    ),
    "a file elsewhere": ("messages[0].content[0]", said({"type": "text", "text": "x", "file_id": "file-1"})),
    "an image": ("messages[0].content[0].image_url", said({"type": "image_url", "image_url": {"file_id": "file-1"}})),
    "an image by a scheme": (
        "messages[0].content[0].image_url.url",
        said({"type": "image_url", "image_url": {"url": "sediment://file_1"}}),
    ),
    "an image as a text": (
        "messages[0].content[0].image_url",
        said({"type": "image_url", "image_url": "gs://bucket/a.png"}),
    ),
    "audio": (
        "messages[0].content[0].input_audio",
        said({"type": "input_audio", "input_audio": {"data": "UklG", "file_id": "file-1"}}),
    ),
    "a kind of part": ("messages[0].content[0].type", said({"type": "image_file", "image_file": {"file_id": "f"}})),
    "an answer that was spoken": ("messages[0].audio", said(audio={"id": "audio_1"})),
    "a field of a message": ("messages[0]", said(attachments=[{"file_id": "file-1"}])),
    "a tool": ("tools[0].type", {"messages": [], "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
    "a field of a tool": ("tools[0]", {"messages": [], "tools": [{"type": "function", "function": {}, "id": "x"}]}),
    "a prediction": (
        "prediction.content[0].type",
        {"messages": [], "prediction": {"type": "content", "content": [{"type": "file", "file": {"file_id": "f"}}]}},
    ),
    "data of Azure's": ("data_sources", {"messages": [], "data_sources": [{"type": "azure_search"}]}),
    "an earlier response": ("previous_response_id", {"messages": [], "previous_response_id": "resp_1"}),
    "a model that judges": ("moderation", {"messages": [], "moderation": {"model": "ft:hers"}}),
    "other capitals": ("Store", {"messages": [], "Store": True}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_refer_to_something_stored_is_refused(what: str) -> None:
    place, fields = REFUSED[what]
    with pytest.raises(Invalid) as refused:
        passed(**fields)
    assert (refused.value.code, refused.value.param) == ("reference_not_allowed", place)


def test_every_field_of_openais_sdk_is_known_but_those_that_lead_elsewhere() -> None:
    methods: dict[Endpoint, tuple[Any, set[str]]] = {
        Endpoint.CHAT: (Completions.create, {"moderation"}),
        Endpoint.COMPLETIONS: (TextCompletions.create, set()),
        Endpoint.RESPONSES: (
            Responses.create,
            {"previous_response_id", "conversation", "prompt", "context_management", "background_options"}
            | {"access_programs", "image", "moderation"},
        ),
    }
    for endpoint, (create, refused) in methods.items():
        fields = set(inspect.signature(create).parameters) - OF_THE_CALL
        assert fields - set(FIELDS[endpoint]) == refused


def test_no_fallbacks_are_none() -> None:
    assert passed(messages=[], fallbacks=None, models=None) == {"model": BASE, "messages": []}


MANY: dict[str, bytes] = {
    "fields": b"{%b}" % b",".join(b'"%d": null' % number for number in range(2 * MAX_TEXTS)),
    "texts that end with a backslash": b'{"prompt": [%b]}' % b",".join([b'"\\\\"'] * (2 * MAX_TEXTS)),
}


@pytest.mark.parametrize("body", MANY.values(), ids=MANY)
def test_of_too_many_texts_none_is_looked_at(body: bytes) -> None:
    with pytest.raises(Invalid, match="at most 100,000 texts"):
        decode(body, Endpoint.COMPLETIONS, None)


def test_a_text_may_have_any_number_of_quotes() -> None:
    said = '"' * 3 * MAX_TEXTS
    assert passed(Endpoint.COMPLETIONS, prompt=said)["prompt"] == said


def test_a_completion_is_judged_too() -> None:
    body = {"prompt": ["Once", "Twice"], "max_tokens": 5, "suffix": ".", "response_format": {"type": "json_object"}}
    assert passed(Endpoint.COMPLETIONS, **body) == {"model": BASE, **body}
    with pytest.raises(Invalid, match="prompt_id is not passed on"):
        passed(Endpoint.COMPLETIONS, prompt="Once", prompt_id="pmpt_1")


def test_a_voice_that_somebody_has_made_is_refused() -> None:
    with pytest.raises(Invalid, match=r"audio.voice: Expected `str`, got `object`"):
        passed(messages=[], audio={"voice": {"id": "voice_1"}})


@pytest.mark.parametrize("messages", ["Hi", [5], [{"content": "Hi"}], {"role": "user"}])
def test_what_has_another_form_is_no_reference(messages: Any) -> None:
    with pytest.raises(Invalid) as refused:
        passed(messages=messages)
    assert refused.value.code == "invalid_value"


def test_of_a_field_that_is_there_twice_the_last_one_is_judged_and_sent() -> None:
    body = b'{"model": "a", "messages": [{"role": "user", "content": [], "content": "Hi"}]}'
    sent = json.loads(decode(body, Endpoint.CHAT, None)[1], object_pairs_hook=list)
    assert sent == [("model", "a"), ("messages", [[("role", "user"), ("content", "Hi")]])]


def test_a_refusal_is_said_and_nothing_is_sent(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    with pytest.raises(BadRequestError) as refused:
        alice.openai.chat.completions.create(model=BASE, messages=question(), store=True)
    assert facts(refused.value) == (400, "reference_not_allowed", "store")
    assert CHAT not in str(sandbox.http.get("/sandbox/requests").json()["requests"])
