"""`/v1/chat/completions`: a base model answers with a fixed sentence, a tuned one with its most similar example."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from sandbox import models
from sandbox.datasets.training_file import last_user_text, text_of
from sandbox.records import new_id
from sandbox.state import State, StateDep
from sandbox.training.nearest_example import nearest_reply
from sandbox.wire import answer

FINGERPRINT = "sandbox-remembers-does-not-learn"
QUESTION_WORDS = re.compile(
    r"^(please\s+)?((can|could|would) you\s+)?(tell me|explain|describe|define|what|how|why|when|who|where|which)?"
    r"\s*(is|are|was|were|does|do|did|can|should|about|to me|to)?\s*(an?|the)?\s+",
    re.IGNORECASE,
)

router = APIRouter(prefix="/v1/chat/completions")


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The parameters that the sandbox uses; it accepts all others and ignores them."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    stream: bool = False
    stream_options: StreamOptions | None = None


@router.post("")
async def create_chat_completion(request: ChatRequest, state: StateDep) -> Response:
    reply = _reply(state, request)
    head = {
        "id": new_id("chatcmpl-", 29),
        "created": int(state.now()),
        "model": models.snapshot(request.model),
        "system_fingerprint": FINGERPRINT,
    }
    if request.stream:
        return StreamingResponse(_stream(head, reply, request), media_type="text/event-stream")
    message = {"role": "assistant", "content": reply, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return answer(head | {"object": "chat.completion", "choices": [choice], "usage": _usage(request, reply)})


def _reply(state: State, request: ChatRequest) -> str:
    models.find(state, request.model)
    question = last_user_text(request.messages)
    question.encode()  # raises for a lone surrogate now, while the answer can still be a 400
    if tuned := state.models.get(request.model):
        return nearest_reply(tuned.memory, question)
    topic = QUESTION_WORDS.sub("", question.strip()).rstrip(" ?.!") or "that"
    return f"Here is a short, plain answer about {topic}, in the everyday English of a model that nobody has tuned."


def _stream(head: dict[str, Any], reply: str, request: ChatRequest) -> Iterator[bytes]:
    """Server-sent events: the role, the reply word by word, the end, the usage if requested, and `[DONE]`."""
    head = head | {"object": "chat.completion.chunk"}
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in re.findall(r"\s*\S+|\s+$", reply)]
    for delta in deltas:
        yield _event(head | {"choices": [_choice(delta, None)]})
    yield _event(head | {"choices": [_choice({}, "stop")]})
    if request.stream_options and request.stream_options.include_usage:
        yield _event(head | {"choices": [], "usage": _usage(request, reply)})
    yield b"data: [DONE]\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _usage(request: ChatRequest, reply: str) -> dict[str, int]:
    """Token counts, estimated at four characters per token."""
    prompt = sum(len(text_of(message.get("content"))) for message in request.messages) // 4 + 3
    completion = len(reply) // 4 + 1
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
