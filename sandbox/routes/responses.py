"""`/v1/responses`: the engine's answers in the words of the Responses API, whole or as server-sent events."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from wire_server.answers import answer
from wire_server.chat import ChatRequest, End, Piece
from wire_server.errors import ApiError
from wire_server.records import new_id
from wire_server.routes import models
from wire_server.routes.bounded import BoundedRoute
from wire_server.routes.chat import joined
from wire_server.routes.leaving import unless_left
from wire_server.state import StateDep
from wire_server.training_file import text_of

router = APIRouter(prefix="/v1/responses", route_class=BoundedRoute)


class ResponseRequest(BaseModel):
    """The parameters that the engine uses; all others are accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool = False

    def as_chat(self) -> ChatRequest:
        """What has no role, such as a call of a function, says nothing to this engine."""
        items = [{"role": "user", "content": self.input}] if isinstance(self.input, str) else self.input
        messages = [{"role": each["role"], "content": text_of(each.get("content"))} for each in items if "role" in each]
        if not messages:
            raise ApiError(400, "Invalid value for 'input': it has no message.", param="input")
        return ChatRequest(model=self.model, messages=messages)


@router.post("")
async def create_response(request: ResponseRequest, state: StateDep, connection: Request) -> Response:
    models.find(state, request.model)
    pieces = state.reply(request.as_chat())
    # What is refused is raised here, while the answer can still be a 400.
    first = await unless_left(connection, anext(pieces))
    head = _head(request, state.snapshot(request.model), int(state.now()))
    whole = joined(first, pieces)
    if request.stream:
        return StreamingResponse(_stream(head, whole), media_type="text/event-stream")
    return answer(await unless_left(connection, _whole(head, whole)))


def _head(request: ResponseRequest, model: str, now: int) -> dict[str, Any]:
    return {
        "id": new_id("resp_", 48),
        "object": "response",
        "created_at": now,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
    }


async def _whole(head: dict[str, Any], pieces: AsyncIterator[Piece | End]) -> dict[str, Any]:
    text, end = "", End("stop", 0, 0)
    async for piece in pieces:
        if isinstance(piece, End):
            end = piece
        else:
            text += piece.text
    return _completed(head, _message(new_id("msg_", 48), text), end)


def _completed(head: dict[str, Any], message: dict[str, Any], end: End) -> dict[str, Any]:
    usage = {
        "input_tokens": end.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": end.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": end.prompt_tokens + end.completion_tokens,
    }
    return head | {"status": "completed", "output": [message], "usage": usage}


def _message(id: str, text: str) -> dict[str, Any]:
    return {"id": id, "type": "message", "role": "assistant", "status": "completed", "content": [_part(text)]}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


async def _stream(head: dict[str, Any], pieces: AsyncIterator[Piece | End]) -> AsyncIterator[bytes]:
    """Server-sent events, as the SDK's types name them: what begins, the text piece by piece, and what has ended."""
    number, text, id = 0, "", new_id("msg_", 48)
    at = {"item_id": id, "output_index": 0, "content_index": 0}

    def event(kind: str, **more: Any) -> bytes:
        nonlocal number
        number += 1
        data = {"type": f"response.{kind}", "sequence_number": number - 1, **more}
        return f"event: response.{kind}\n".encode() + b"data: " + msgspec.json.encode(data) + b"\n\n"

    yield event("created", response=head)
    yield event("in_progress", response=head)
    begun = _message(id, "") | {"status": "in_progress", "content": []}
    yield event("output_item.added", output_index=0, item=begun)
    yield event("content_part.added", **at, part=_part(""))
    end = End("stop", 0, 0)
    async for piece in pieces:
        if isinstance(piece, End):
            end = piece
        else:
            text += piece.text
            yield event("output_text.delta", **at, delta=piece.text, logprobs=[])
    message = _message(id, text)
    yield event("output_text.done", **at, text=text, logprobs=[])
    yield event("content_part.done", **at, part=_part(text))
    yield event("output_item.done", output_index=0, item=message)
    yield event("completed", response=_completed(head, message, end))
