"""POST /v1/responses: what is passed on, and what may lead to another project's things and is not."""

import json
from typing import Any

import httpx2
import pytest
from openai import NotFoundError
from openai.types.responses import (
    ResponseCustomToolCall,
    ResponseFunctionToolCall,
    ResponseFunctionWebSearch,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from openai.types.responses.response_function_web_search import ActionSearch

from api.chat.asked import decode
from shared.errors import Invalid
from shared.providers.dialects import Endpoint
from tests.api.test_chat import BASE
from tests.api.test_chat_limits import asking
from tests.api.test_inference_usage import written
from tests.api.training import meet_the_base_models, model_of, train
from tests.api.wire import facts, send
from tests.hostile_servers import answering
from tests.world import Person, Sandbox

PATH = "/v1/responses"
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1.0,
    "model": BASE,
    "output": [MESSAGE],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 7,
        "output_tokens": 5,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}


def event(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 1, **more})}\n\n".encode()


DELTA = event(
    "response.output_text.delta", delta="Hello", item_id="msg_1", output_index=0, content_index=0, logprobs=[]
)
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
BODY = json.dumps({"model": BASE, "input": "Hi", "stream": True}).encode()


def test_a_response_is_passed_through_and_counted(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    sandbox.arm("POST", PATH, status=200, body=ANSWER)
    answer = alice.openai.responses.create(model=BASE, input="Hi")
    assert answer.output_text == "Hello"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 5
    assert written(alice) == {BASE: (1, 7, 2, 5)}


def test_a_stream_is_passed_through_and_counted(alice: Person) -> None:
    with asking(answering(SSE, DELTA + event("response.completed", response=ANSWER))):
        events = list(alice.openai.responses.create(model=BASE, input="Hi", stream=True))
        assert [each.type for each in events] == ["response.output_text.delta", "response.completed"]
        assert getattr(events[0], "delta", None) == "Hello"
        assert written(alice) == {BASE: (1, 7, 2, 5)}


def test_a_stream_that_breaks_off_breaks_off_here(alice: Person) -> None:
    got: list[bytes] = []
    broken = answering(SSE + b"content-length: 9999\r\n", DELTA)
    with asking(broken), alice.http.stream("POST", "/responses", content=BODY) as answer:
        pieces = answer.iter_raw()
        with pytest.raises(httpx2.RemoteProtocolError):
            got.extend(pieces)
    assert b"".join(got) == DELTA


def test_another_projects_model_is_not_found(alice: Person, bob: Person, sandbox: Sandbox) -> None:
    name = model_of(train(alice, sandbox))
    with pytest.raises(NotFoundError) as refused:
        bob.openai.responses.create(model=name, input="Hi")
    assert facts(refused.value) == (404, "model_not_found", "model")


@pytest.mark.parametrize("call", ["GET resp_1", "DELETE resp_1", "POST input_tokens", "POST compact"])
def test_nothing_else_of_the_api_is_there(alice: Person, call: str) -> None:
    method, rest = call.split()
    answer = send(alice, method, f"/responses/{rest}")
    assert (answer.status, answer.error["code"]) == (501, "not_implemented")
    assert "only POST /v1/responses" in answer.error["message"]


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt", "context_management"])
def test_a_refusal_says_what_to_send_instead(field: str) -> None:
    with pytest.raises(Invalid, match="send "):
        passed(**{field: "x"})


def passed(**more: Any) -> Any:
    return json.loads(decode(json.dumps({"model": BASE, **more}).encode(), Endpoint.RESPONSES, None)[1])


def test_nothing_is_stored_and_items_lose_their_ids() -> None:
    body = passed(input=[MESSAGE, {"role": "user", "content": "Hi"}], store=False, previous_response_id=None)
    said = {name: value for name, value in MESSAGE.items() if name not in ("id", "status")}
    assert body == {
        "model": BASE,
        "input": [said, {"role": "user", "content": "Hi"}],
        "store": False,
    }


def test_a_conversation_with_tools_is_passed_on() -> None:
    items = [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
    ]
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]
    assert passed(input=items, tools=tools) == {"model": BASE, "input": items, "tools": tools, "store": False}


SAID = {
    "a call": ResponseFunctionToolCall(
        id="fc_1", type="function_call", call_id="c", name="f", arguments="{}", status="completed"
    ),
    "a custom call": ResponseCustomToolCall(id="ctc_1", type="custom_tool_call", call_id="c", name="f", input="x"),
    "reasoning": ResponseReasoningItem(id="rs_1", type="reasoning", summary=[], encrypted_content="gAAA"),
    "a search": ResponseFunctionWebSearch(
        id="ws_1", type="web_search_call", status="completed", action=ActionSearch(type="search", query="x")
    ),
    "a message": ResponseOutputMessage.model_validate(MESSAGE),
}


@pytest.mark.parametrize("what", SAID)
def test_what_the_sdk_has_read_goes_back_as_it_is_and_as_it_dumps_it(what: str) -> None:
    for item in (SAID[what].to_dict(), SAID[what].model_dump(mode="json")):
        [sent] = passed(input=[item])["input"]
        assert "id" not in sent
        assert sent["type"] == item["type"]
    assert passed(input=[SAID["a search"].to_dict()])["input"] == [
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "x"}}
    ]


TOOLS: list[dict[str, Any]] = [
    {"type": "web_search_2025_08_26", "search_context_size": "low"},
    {"type": "web_search_preview_2025_03_11", "search_content_types": ["text"]},
    {"type": "function", "name": "f", "parameters": {}, "strict": True, "async": False, "output_schema": None},
    {"type": "custom", "name": "f", "defer_loading": False, "allowed_callers": ["direct"]},
]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["type"])
def test_tools_may_have_what_the_sdk_knows_of_them(tool: dict[str, Any]) -> None:
    assert passed(input="Hi", tools=[tool])["tools"] == [tool]


def part(**more: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [more]}]}


REFUSED: dict[str, dict[str, Any]] = {
    "an earlier response": {"previous_response_id": "resp_1"},
    "a conversation": {"conversation": "conv_1"},
    "background": {"background": True},
    "store": {"store": True},
    "its options": {"background_options": {"continuation_id": "x"}},
    "a stored prompt": {"prompt": {"id": "pmpt_1"}},
    "a cached response": {"prompt_cache_options": {"comparison_response_id": "resp_1"}},
    "a model elsewhere": {"moderation": {"model": "ft:hers"}},
    "other capitals": {"Previous_Response_Id": "resp_1"},
    "what is not known": {"new_field": 0},
    "an item": {"input": [{"type": "item_reference", "id": "msg_1"}]},
    "an item without a type": {"input": [{"id": "msg_1"}]},
    "an image's id": {"input": [{"type": "image_generation_call", "id": "ig_1"}]},
    "reasoning by its id": {"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]},
    "a container's call": {"input": [{"type": "code_interpreter_call", "container_id": "cntr_1"}]},
    "more tools": {"input": [{"type": "additional_tools", "tools": [{"type": "file_search"}]}]},
    "a file": part(type="input_file", file_id="file-1"),
    "a file in capitals": part(type="input_file", FILE_ID="file-1"),
    "an image": part(type="input_image", file_id="file-1", image_url="https://x"),
    "an image by a scheme": part(type="input_image", image_url="sediment://file_1"),
    "a screenshot": {"input": [{"type": "computer_call_output", "output": {"file_id": "file-1"}}]},
    "a file in an output": {
        "input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_id": "f"}]}]
    },
    "vector stores": {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "containers": {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
    "skills": {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}}]},
    "connectors": {"tools": [{"type": "mcp", "connector_id": "connector_x"}]},
    "a mask": {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file-1"}}]},
    "a field of a tool": {"tools": [{"type": "function", "name": "f", "vector_store_ids": ["vs_1"]}]},
}


@pytest.mark.parametrize("reference", REFUSED)
def test_no_reference_is_passed_on(reference: str) -> None:
    with pytest.raises(Invalid) as refused:
        passed(**REFUSED[reference])
    assert refused.value.code == "reference_not_allowed"


@pytest.mark.parametrize("body", ["", "[]", "{", '{"tools": 5}', '{"input": [5]}', '{"tools": [{"type": []}]}'])
def test_what_is_no_response_is_refused(body: str) -> None:
    with pytest.raises(Invalid):
        decode(body.encode(), Endpoint.RESPONSES, None)


def test_the_second_of_two_is_what_is_judged_and_sent() -> None:
    body = b'{"model": "a", "input": "x", "input": [{"role": "user", "content": [], "content": "Hi"}]}'
    sent = json.loads(decode(body, Endpoint.RESPONSES, None)[1], object_pairs_hook=list)
    assert sent == [("model", "a"), ("input", [[("role", "user"), ("content", "Hi")]]), ("store", False)]


def test_a_refusal_is_said_over_http(alice: Person, sandbox: Sandbox) -> None:
    meet_the_base_models(alice)
    answer = send(alice, "POST", "/responses", json.dumps({"model": BASE, "previous_response_id": "resp_1"}).encode())
    assert (answer.status, answer.error["code"], answer.error["param"]) == (
        400,
        "reference_not_allowed",
        "previous_response_id",
    )
    assert PATH not in str(sandbox.http.get("/sandbox/requests").json()["requests"])
