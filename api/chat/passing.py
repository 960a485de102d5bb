"""Passes a question on to the provider of its model, and the answer back: the one place where the api goes out."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated

import anyio.to_thread
import httpx2
from fastapi import Depends
from fastapi.responses import StreamingResponse
from sqlmodel import Session
from starlette.types import Receive, Scope, Send
from structlog import get_logger

from api.auth.last_used import record_asked
from api.chat import spent
from api.chat.asked import Asked, decode, with_model
from api.chat.clients import CONNECT_TIMEOUT_SECONDS, client_of, owner_of
from api.chat.concurrency import slots
from api.chat.counting import counter
from api.chat.hiding import UsageHider, asking_for_usage
from api.chat.received import BREAKS, Received
from api.chat.scrubbing import Scrubber
from api.chat.tokens import forget_token, token_of
from shared.database import transaction
from shared.deployments import service as deployments
from shared.errors import NotFound, ProviderUnavailable
from shared.inference.recording import Place
from shared.jobs import tuned_models
from shared.metrics.instruments import PROVIDER_CALL_SECONDS, owner
from shared.projects.callers import Caller
from shared.projects.credentials import Account
from shared.providers.dialects import ADDRESSING, Endpoint
from shared.security.secrets import CannotUnseal
from shared.settings import get_settings
from shared.telemetry import spans

log = get_logger(__name__)

_PASSED_BACK = {"content-type", "openai-processing-ms", "retry-after", "retry-after-ms", "x-should-retry"}


@dataclass(frozen=True)
class _Question:
    """The account to call, the body to send, and what the answer is counted for.

    `hides_usage`: the body asks for what the caller has not asked for.
    """

    account: Account
    body: bytes
    place: Place
    hides_usage: bool


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


async def answer(
    caller: Caller,
    held: AsyncExitStack,
    content: bytes,
    deployment: str | None = None,
    *,
    endpoint: Endpoint = Endpoint.CHAT,
) -> StreamingResponse:
    """Pass on the body of a question. What is to be undone afterwards is left to `held`.

    `deployment` is the model that an Azure client has put into the path. Raises `NotFound` where the model's provider
    does not have the endpoint.
    """
    limits = get_settings().chat
    await held.enter_async_context(slots.one(caller.project_id, limits.max_per_project, "The project"))
    question = await anyio.to_thread.run_sync(_judged, caller, content, endpoint, deployment)
    account = question.account
    await held.enter_async_context(slots.one(owner_of(account), limits.max_per_account, "The account of this model"))
    deadline = asyncio.get_running_loop().time() + limits.timeout.total_seconds()
    key = _key(account)
    secret = key if account.application is None else await token_of(account, account.application, key)
    response = await _send(account, account.url_of(endpoint), secret, question.body, deadline)
    held.push_async_callback(response.aclose)
    if response.status_code in {401, 403}:
        forget_token(account, secret)
        log.error("the provider refuses its key", status=response.status_code, credential_id=account.credential_id)
        raise ProviderUnavailable("The provider does not accept this installation's key: tell your operator")
    record_asked(caller.project_id, question.place.model)
    scrubber = Scrubber(secret)
    headers = {name: scrubber.whole(value) for name, value in response.headers.items() if name in _PASSED_BACK}
    is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
    received = Received(response, question.body, is_stream=is_stream)
    if response.status_code == 200:
        held.push_async_callback(_count, caller.project_id, question.place, received)
    hider = UsageHider() if is_stream and question.hides_usage else None
    return _Answer(_pass_on(received, scrubber, hider), response.status_code, headers, deadline)


def _judged(caller: Caller, content: bytes, endpoint: Endpoint, deployment: str | None) -> _Question:
    """In a thread: bodies may be large."""
    asked, body = decode(content, endpoint, deployment)
    counted = asking_for_usage(body) if endpoint is not Endpoint.RESPONSES else None  # a response always says it
    with transaction(caller.project_id) as session:
        account, name, place = _account(session, caller, asked)
        spent.check(session, caller.project_id, place)
        if counted is not None and not spent.costs(session, caller.project_id, place):
            counted = None
    _check_has(account, endpoint, asked.model)
    body = counted or body
    return _Question(account, with_model(body, name) if name != asked.model else body, place, counted is not None)


def _account(session: Session, caller: Caller, asked: Asked) -> tuple[Account, str, Place]:
    """The account to call, the name of the model there, and what the answer is counted for."""
    credential = tuned_models.account_to_call(session, caller.project_id, asked.model, asked.provider)
    tuned_models.check_permitted(session, caller.project_id, caller.model_rule, asked.model)
    for field, name in asked.fallbacks:
        tuned_models.account_to_call(session, caller.project_id, name, param=field)
        tuned_models.check_permitted(session, caller.project_id, caller.model_rule, name)
    deployed = deployments.to_call(session, caller.project_id, credential, asked.model)
    is_paid_by_hour = deployed is not None and deployed.price_per_hour != 0
    place = Place(asked.model, credential.provider, is_paid_by_hour)
    return Account.of(credential), (deployed and deployed.chat_model) or asked.model, place


def _check_has(account: Account, endpoint: Endpoint, model: str) -> None:
    has = ADDRESSING[account.dialect].endpoints
    if endpoint not in has:
        others = " or ".join(f"/v1/{each}" for each in sorted(has))
        sentence = f"The provider of `{model}` has no /v1/{endpoint}: ask at {others}"
        raise NotFound(sentence, code="endpoint_not_at_provider", param="model")


def _key(account: Account) -> str:
    try:
        return account.api_key()
    except (CannotUnseal, LookupError) as error:
        log.error("the key of a credential cannot be read", credential_id=account.credential_id, reason=str(error))
        raise ProviderUnavailable("The provider's key cannot be read at the moment: tell your operator") from None


async def _send(account: Account, url: str, secret: str, body: bytes, deadline: float) -> httpx2.Response:
    client = await client_of(account)
    seconds = get_settings().chat.timeout.total_seconds()
    timeout = httpx2.Timeout(seconds, connect=CONNECT_TIMEOUT_SECONDS)
    request = client.build_request("POST", url, content=body, headers=account.headers(secret), timeout=timeout)
    began, status = time.monotonic(), "no answer"
    try:
        with spans.call(f"{account.dialect} ask") as span:
            async with asyncio.timeout_at(deadline):
                response = await client.send(request, stream=True)
            span["tunery.status"] = status = str(response.status_code)
            return response
    except (httpx2.HTTPError, TimeoutError) as error:
        log.error("the provider cannot be reached", reason=f"{type(error).__name__}: {error}")
        raise ProviderUnavailable("The provider cannot be reached at the moment; try again") from error
    finally:
        PROVIDER_CALL_SECONDS.labels(owner(account.project_id), account.dialect, "ask", status).observe(
            time.monotonic() - began
        )


async def _count(project_id: str, place: Place, received: Received) -> None:
    if (used := await received.used()) is not None:
        counter.count(project_id, place, used)


async def _pass_on(received: Received, scrubber: Scrubber, hider: UsageHider | None) -> AsyncIterator[bytes]:
    """Yield the answer as it comes. One that is too large breaks off, as one does whose provider fails."""
    try:
        async for piece in received.pieces():
            yield scrubber.feed(hider.feed(piece) if hider else piece)
        yield scrubber.feed(hider.end() if hider else b"") + scrubber.end()
    except BREAKS as error:
        log.error("the provider's answer broke off", reason=f"{type(error).__name__}: {error}")
        if hider:
            yield scrubber.feed(hider.end())
        raise
