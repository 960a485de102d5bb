"""Chats and completions of a model, passed through to its provider."""

from typing import Any

from fastapi.responses import StreamingResponse
from starlette.requests import Request

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.chat.asked import MAX_NAME_LENGTH
from api.chat.passing import UntilAnswered, answer
from api.http.addresses import DEPLOYMENT
from api.http.router import Router
from shared.providers.dialects import Endpoint

router = Router(tags=["Inference"], dependencies=[scope("inference")])


def body_of(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The description of a body: the model, what it is asked in a field of this name, and whether as a stream."""
    fields = {
        "model": {"type": "string", "maxLength": MAX_NAME_LENGTH},
        field: schema,
        "stream": {"type": "boolean"},
        "provider": {"type": "string", "maxLength": 64},
    }
    schema = {"type": "object", "required": ["model", field], "properties": fields}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_CHAT = body_of("messages", {"type": "array", "items": {"type": "object"}})
LONGEST_PROMPT = 32 << 20  # as TUNERY_MAX_CHAT_BYTES without a setting; the whole body counts there
_COMPLETION = body_of("prompt", {"anyOf": [{"type": "string", "maxLength": LONGEST_PROMPT}, {"type": "array"}]})


@router.post("/v1/chat/completions", openapi_extra=_CHAT, response_class=StreamingResponse)
async def create_chat_completion(request: Request, caller: CallerDep, held: UntilAnswered) -> StreamingResponse:
    """Ask a base model, or one that the project's own jobs have made; `stream` works too.

    `provider` names that of the account to ask, where several of the project's have the model. The provider's answers
    and its errors are passed on in its words. Nothing is kept, so an `Idempotency-Key` means
    nothing here; and as all projects share one account there, the provider does not get to see it.
    """
    return await answer(caller, held, await request.body(), request.scope.get(DEPLOYMENT))


@router.post("/v1/completions", openapi_extra=_COMPLETION, response_class=StreamingResponse)
async def create_completion(request: Request, caller: CallerDep, held: UntilAnswered) -> StreamingResponse:
    """Let a model go on with a text, where its provider has this older endpoint; `stream` works too.

    Everything else is as in a chat. Errors: 404 `endpoint_not_at_provider`.
    """
    model = request.scope.get(DEPLOYMENT)
    return await answer(caller, held, await request.body(), model, endpoint=Endpoint.COMPLETIONS)
