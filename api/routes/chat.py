"""Chat with a model, passed through to the provider: the one place where the api goes out."""

from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlsplit

import anyio.to_thread
import httpx2
import msgspec
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from structlog import get_logger

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.http.addresses import DEPLOYMENT
from shared.database import transaction
from shared.errors import Invalid, ProviderUnavailable
from shared.jobs import tuned_models
from shared.projects.callers import Caller
from shared.projects.credentials import Account
from shared.security.guarded_network import AsyncGuardedBackend, install
from shared.security.secrets import CannotUnseal

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


_NO_MODEL_YET = (
    "`model` is null. If it is the `fine_tuned_model` of a job: the job has no tuned model yet. It gets one when it "
    "has succeeded; retrieve the job again until then, or receive the webhook `fine_tuning.job.succeeded`"
)


class Asked(msgspec.Struct):
    """What we need to know of a request; the rest is between the caller and the provider."""

    model: Annotated[str, msgspec.Meta(max_length=256)]


_clients: dict[tuple[str | None, str], httpx2.AsyncClient] = {}


def _client(account: Account) -> httpx2.AsyncClient:
    """One for each account and scheme, kept. The key goes with each request, so that a new one counts at once."""
    scheme = urlsplit(account.base_url).scheme
    if (account.credential_id, scheme) not in _clients:
        _clients[account.credential_id, scheme] = httpx2.AsyncClient(
            headers={"content-type": "application/json", "accept-encoding": "identity"},
            timeout=httpx2.Timeout(600, connect=5),
            follow_redirects=False,
            transport=_guarded_transport(scheme) if account.project_id is not None else None,
        )
    return _clients[account.credential_id, scheme]


async def close_clients() -> None:
    while _clients:
        await _clients.popitem()[1].aclose()


def _guarded_transport(scheme: str) -> httpx2.AsyncHTTPTransport:
    """For requests of this scheme. Uses no proxy of the environment, which would connect without the guard."""
    transport = httpx2.AsyncHTTPTransport(trust_env=False)
    install(AsyncGuardedBackend(scheme), transport)
    return transport


@router.post("/v1/chat/completions", openapi_extra={"requestBody": _BODY}, response_class=StreamingResponse)
async def create_chat_completion(request: Request, caller: CallerDep) -> StreamingResponse:
    """Ask a base model, or one that the project's own jobs have made; `stream` works too.

    The provider's answers and its errors are passed on in its words. Nothing is kept, so an `Idempotency-Key` means
    nothing here; and as all projects share one account there, the provider does not get to see it.
    """
    asked, body = _decode(await request.body(), request.scope.get(DEPLOYMENT))
    account = await anyio.to_thread.run_sync(_account, caller, asked.model)
    response = await _send(account, body)
    if response.status_code in {401, 403}:
        await response.aclose()
        log.error("the provider refuses its key", status=response.status_code, credential_id=account.credential_id)
        raise ProviderUnavailable("The provider does not accept this installation's key: tell your operator")
    headers = {name: value for name, value in response.headers.items() if name in _PASSED_BACK}
    return StreamingResponse(_pass_on(response), status_code=response.status_code, headers=headers)


def _decode(body: bytes, deployment: str | None) -> tuple[Asked, bytes]:
    """Return what is asked, and the body to send: each field once, so that the provider reads the `model` we judge.

    `deployment` is the model that an Azure client has put into the path, which counts there.
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if [name for name in fields if name.lower() == "model"] not in ([], ["model"]):
            raise Invalid("`model` is written in more than one way", param="model")
        if deployment is not None:
            fields["model"] = msgspec.Raw(msgspec.json.encode(deployment))
        if bytes(fields.get("model", b"")) == b"null":
            raise Invalid(_NO_MODEL_YET, param="model")
        once = msgspec.json.encode(fields)
        asked = msgspec.json.decode(once, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body must be a JSON object with a `model`: {error}", param="model") from None
    return asked, once


def _account(caller: Caller, model: str) -> Account:
    with transaction(caller.project_id) as session:
        credential = tuned_models.account_to_call(session, caller.project_id, model)
        tuned_models.check_permitted(session, caller.project_id, caller.model_rule, model)
        return Account.of(credential)


async def _send(account: Account, body: bytes) -> httpx2.Response:
    client = _client(account)
    try:
        headers = account.headers()
    except (CannotUnseal, LookupError) as error:
        log.error("the key of a credential cannot be read", credential_id=account.credential_id, reason=str(error))
        raise ProviderUnavailable("The provider's key cannot be read at the moment: tell your operator") from None
    try:
        request = client.build_request("POST", account.chat_url(), content=body, headers=headers)
        return await client.send(request, stream=True)
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
