"""Chat with a model, passed through to the provider: the one place where the api goes out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

import anyio.to_thread
import httpx2
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from structlog import get_logger

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.chat.asked import MAX_NAME_LENGTH, Asked, decode
from api.chat.clients import CONNECT_TIMEOUT_SECONDS, client_of, owner_of
from api.chat.concurrency import slots
from api.chat.scrubbing import Scrubber
from api.http.addresses import DEPLOYMENT
from shared.database import transaction
from shared.errors import ProviderUnavailable
from shared.jobs import tuned_models
from shared.projects.callers import Caller
from shared.projects.credentials import Account
from shared.security.content_decoding import CannotDecode, Decoder
from shared.security.secrets import CannotUnseal
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
                    "model": {"type": "string", "maxLength": MAX_NAME_LENGTH},
                    "messages": {"type": "array", "items": {"type": "object"}},
                    "stream": {"type": "boolean"},
                },
            }
        }
    },
}
_PASSED_BACK = {"content-type", "openai-processing-ms", "retry-after", "retry-after-ms", "x-should-retry"}


class _Answer(StreamingResponse):
    """An answer that ends by `deadline`, of the loop's clock, also for a client that does not read it."""

    def __init__(self, blocks: AsyncIterator[bytes], status: int, headers: dict[str, str], deadline: float) -> None:
        super().__init__(blocks, status, headers)
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            log.error("a chat took too long, at the provider or to its client")
            raise


async def _until_answered() -> AsyncIterator[AsyncExitStack]:
    """What is to be undone when the answer has been sent, or nobody waits for it any more."""
    async with AsyncExitStack() as stack:
        yield stack


UntilAnswered = Annotated[AsyncExitStack, Depends(_until_answered)]


@router.post("/v1/chat/completions", openapi_extra={"requestBody": _BODY}, response_class=StreamingResponse)
async def create_chat_completion(request: Request, caller: CallerDep, held: UntilAnswered) -> StreamingResponse:
    """Ask a base model, or one that the project's own jobs have made; `stream` works too.

    The provider's answers and its errors are passed on in its words. Nothing is kept, so an `Idempotency-Key` means
    nothing here; and as all projects share one account there, the provider does not get to see it.
    """
    return await answer(caller, held, await request.body(), request.scope.get(DEPLOYMENT))


async def answer(
    caller: Caller, held: AsyncExitStack, content: bytes, deployment: str | None = None
) -> StreamingResponse:
    """Pass on the body of a chat. What is to be undone afterwards is left to `held`."""
    limits = get_settings().chat
    await held.enter_async_context(slots.one(caller.project_id, limits.max_per_project, "The project"))
    asked, body = decode(content, deployment)
    account = await anyio.to_thread.run_sync(_account, caller, asked)
    await held.enter_async_context(slots.one(owner_of(account), limits.max_per_account, "The account of this model"))
    deadline = asyncio.get_running_loop().time() + limits.timeout.total_seconds()
    key = _key(account)
    response = await _send(account, body, deadline)
    held.push_async_callback(response.aclose)
    if response.status_code in {401, 403}:
        log.error("the provider refuses its key", status=response.status_code, credential_id=account.credential_id)
        raise ProviderUnavailable("The provider does not accept this installation's key: tell your operator")
    scrubber = Scrubber(key)
    headers = {name: scrubber.whole(value) for name, value in response.headers.items() if name in _PASSED_BACK}
    blocks = _pass_on(response, _decoder(response), scrubber)
    return _Answer(blocks, response.status_code, headers, deadline)


def _account(caller: Caller, asked: Asked) -> Account:
    with transaction(caller.project_id) as session:
        credential = tuned_models.account_to_call(session, caller.project_id, asked.model)
        tuned_models.check_permitted(session, caller.project_id, caller.model_rule, asked.model)
        for field, name in asked.fallbacks:
            tuned_models.account_to_call(session, caller.project_id, name, param=field)
            tuned_models.check_permitted(session, caller.project_id, caller.model_rule, name)
        tuned_models.check_named_beside(session, caller.project_id, asked.beside)
        return Account.of(credential)


def _key(account: Account) -> str:
    try:
        return account.api_key()
    except (CannotUnseal, LookupError) as error:
        log.error("the key of a credential cannot be read", credential_id=account.credential_id, reason=str(error))
        raise ProviderUnavailable("The provider's key cannot be read at the moment: tell your operator") from None


async def _send(account: Account, body: bytes, deadline: float) -> httpx2.Response:
    client = await client_of(account)
    seconds = get_settings().chat.timeout.total_seconds()
    timeout = httpx2.Timeout(seconds, connect=CONNECT_TIMEOUT_SECONDS)
    url, headers = account.chat_url(), account.headers()
    request = client.build_request("POST", url, content=body, headers=headers, timeout=timeout)
    try:
        async with asyncio.timeout_at(deadline):
            return await client.send(request, stream=True)
    except (httpx2.HTTPError, TimeoutError) as error:
        log.error("the provider cannot be reached", reason=f"{type(error).__name__}: {error}")
        raise ProviderUnavailable("The provider cannot be reached at the moment; try again") from error


def _decoder(response: httpx2.Response) -> Decoder:
    try:
        return Decoder(response.headers.get("content-encoding", ""))
    except CannotDecode as error:
        log.error("the provider's answer cannot be read", reason=str(error))
        raise ProviderUnavailable("The provider's answer cannot be read: tell your operator") from None


async def _pass_on(response: httpx2.Response, decoder: Decoder, scrubber: Scrubber) -> AsyncIterator[bytes]:
    """Yield the answer as it comes. One that is too large breaks off, as one does whose provider fails."""
    left = get_settings().chat.max_answer_bytes
    received = response.aiter_raw()
    try:
        while True:
            data = await anext(received, None)
            if data is None:
                break
            for piece in decoder.decode(data):
                left -= len(piece)
                if left < 0:
                    raise CannotDecode(f"it has more than {get_settings().chat.max_answer_bytes} bytes")
                yield scrubber.feed(piece)
        yield scrubber.end()
    except (httpx2.HTTPError, CannotDecode) as error:
        log.error("the provider's answer broke off", reason=f"{type(error).__name__}: {error}")
        raise
