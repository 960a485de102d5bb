"""Chat with a model, passed through to the provider: the one place where the api goes out."""

from collections.abc import AsyncIterator
from functools import cache
from typing import Annotated

import anyio.to_thread
import httpx2
import msgspec
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from structlog import get_logger

from api.deps import CallerDep
from api.scopes import scope
from shared.database import transaction
from shared.errors import Invalid, ProviderUnavailable
from shared.jobs import tuned_models
from shared.projects.callers import Caller
from shared.settings import get_settings

log = get_logger(__name__)
router = APIRouter(tags=["Inference"], dependencies=[scope("inference")])

_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["model", "messages"],
                "properties": {
                    "model": {"type": "string", "maxLength": 256},
                    "messages": {"type": "array", "items": {"type": "object"}},
                    "stream": {"type": "boolean"},
                },
            }
        }
    },
}
_PASSED_BACK = {
    "content-encoding",
    "content-type",
    "openai-processing-ms",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
}


class Asked(msgspec.Struct):
    """What we need to know of a request; the rest is between the caller and the provider."""

    model: Annotated[str, msgspec.Meta(max_length=256)]


@cache
def _client() -> httpx2.AsyncClient:
    provider = get_settings().provider
    return httpx2.AsyncClient(
        headers={
            "authorization": f"Bearer {provider.api_key.get_secret_value()}",
            "content-type": "application/json",
            "accept-encoding": "identity",
        },
        timeout=httpx2.Timeout(600, connect=5),
        follow_redirects=False,
    )


async def close_client() -> None:
    if _client.cache_info().currsize:
        await _client().aclose()
        _client.cache_clear()


@router.post("/v1/chat/completions", openapi_extra={"requestBody": _BODY}, response_class=StreamingResponse)
async def create_chat_completion(request: Request, caller: CallerDep) -> StreamingResponse:
    """Ask a base model, or one that the project's own jobs have made; `stream` works too.

    The provider's answers and its errors are passed on in its words. Nothing is kept, so an `Idempotency-Key` means
    nothing here; and as all projects share one account there, the provider does not get to see it.
    """
    asked, body = _decode(await request.body())
    await anyio.to_thread.run_sync(_check, caller, asked.model)
    response = await _send(body)
    if response.status_code in {401, 403}:
        await response.aclose()
        log.error("the provider refuses this installation's key", status=response.status_code)
        raise ProviderUnavailable("The provider does not accept this installation's key: tell your operator")
    headers = {name: value for name, value in response.headers.items() if name in _PASSED_BACK}
    return StreamingResponse(_pass_on(response), status_code=response.status_code, headers=headers)


def _decode(body: bytes) -> tuple[Asked, bytes]:
    """What is asked, and the body to send: each field once, so that the provider reads the `model` that we judge."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        once = msgspec.json.encode(fields)
        asked = msgspec.json.decode(once, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body must be a JSON object with a `model`: {error}", param="model") from None
    if [name for name in fields if name.lower() == "model"] != ["model"]:
        raise Invalid("`model` is written in more than one way", param="model")
    return asked, once


def _check(caller: Caller, model: str) -> None:
    with transaction(caller.project_id) as session:
        tuned_models.check_callable(session, caller.project_id, model)
        tuned_models.check_permitted(session, caller.project_id, caller.model_rule, model)


async def _send(body: bytes) -> httpx2.Response:
    url = f"{get_settings().provider.base_url}/chat/completions"
    try:
        return await _client().send(_client().build_request("POST", url, content=body), stream=True)
    except httpx2.HTTPError as error:
        log.error("the provider cannot be reached", reason=f"{type(error).__name__}: {error}")
        raise ProviderUnavailable("The provider cannot be reached at the moment; try again") from error


async def _pass_on(response: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except httpx2.HTTPError as error:
        log.error("the provider's answer broke off", reason=f"{type(error).__name__}: {error}")
        raise
    finally:
        await response.aclose()
