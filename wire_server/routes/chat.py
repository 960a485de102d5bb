"""`/v1/chat/completions`: answers of base models, tuned models and checkpoints, whole or as server-sent events."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from wire_server.answers import answer
from wire_server.chat import ChatRequest, End, Piece
from wire_server.errors import ApiError
from wire_server.records import new_id
from wire_server.routes import models
from wire_server.routes.bounded import BoundedRoute
from wire_server.routes.leaving import unless_left
from wire_server.state import StateDep

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/chat/completions", route_class=BoundedRoute)


@router.post("")
async def create_chat_completion(request: ChatRequest, state: StateDep, connection: Request) -> Response:
    models.find(state, request.model)
    pieces = state.reply(request)
    # What is refused is raised here, while the answer can still be a 400.
    first = await unless_left(connection, anext(pieces))
    head = {
        "id": new_id("chatcmpl-", 29),
        "created": int(state.now()),
        "model": state.snapshot(request.model),
        "system_fingerprint": state.fingerprint,
    }
    whole = joined(first, pieces)
    if request.stream:
        return StreamingResponse(_stream(head, whole, request), media_type="text/event-stream")
    return answer(head | await unless_left(connection, _completion(whole)))


async def joined(first: Piece | End, rest: AsyncIterator[Piece | End]) -> AsyncIterator[Piece | End]:
    """The whole reply again, of which the first piece was taken to see whether it is refused."""
    yield first
    async for piece in rest:
        yield piece


async def _completion(pieces: AsyncIterator[Piece | End]) -> dict[str, Any]:
    text, logprobs, end = "", None, End("stop", 0, 0)
    async for piece in pieces:
        if isinstance(piece, End):
            end = piece
            continue
        text += piece.text
        if piece.logprobs is not None:
            logprobs = (logprobs or []) + piece.logprobs
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": _shown(logprobs), "finish_reason": end.finish_reason}
    return {"object": "chat.completion", "choices": [choice], "usage": end.usage()}


async def _stream(
    head: dict[str, Any], pieces: AsyncIterator[Piece | End], request: ChatRequest
) -> AsyncIterator[bytes]:
    """Server-sent events: the role, the reply piece by piece, the end, the usage if requested, and `[DONE]`."""
    head = head | {"object": "chat.completion.chunk"}
    yield _event(head | {"choices": [_choice({"role": "assistant", "content": ""}, None, None)]})
    try:
        async for piece in pieces:
            if isinstance(piece, Piece):
                yield _event(head | {"choices": [_choice({"content": piece.text}, piece.logprobs, None)]})
                continue
            yield _event(head | {"choices": [_choice({}, None, piece.finish_reason)]})
            if request.stream_options and request.stream_options.include_usage:
                yield _event(head | {"choices": [], "usage": piece.usage()})
    except ApiError as error:  # the status is sent already; an event with `error` is what OpenAI's SDK raises
        log.warning("a streamed answer of %s ended early: %s", request.model, error)
        yield _event({"error": error.error})
        return
    yield b"data: [DONE]\n\n"


def _choice(delta: dict[str, str], logprobs: list[dict[str, Any]] | None, finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": _shown(logprobs), "finish_reason": finish_reason}


def _shown(logprobs: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if logprobs is None else {"content": logprobs, "refusal": None}


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
