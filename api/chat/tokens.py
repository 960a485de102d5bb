"""Tokens of Microsoft Entra ID for chats, of accounts that have an application there."""

import asyncio
import json
from collections.abc import Hashable
from dataclasses import replace

import httpx2
from structlog import get_logger

from api.chat.clients import CONNECT_TIMEOUT_SECONDS, client_of
from shared.errors import ProviderUnavailable
from shared.projects.credentials import Account
from shared.providers.entra import MAX_ANSWER_BYTES, TOKENS, Application, Token, scope_of_models
from shared.settings import get_settings

TIMEOUT_SECONDS = 15
log = get_logger(__name__)
_fetches: dict[tuple[Hashable, str], asyncio.Task[str]] = {}  # under way, by whose token and what for


async def token_of(account: Account, application: Application, secret: str) -> str:
    """One that is kept, or a new one, for which all wait together. Raises `ProviderUnavailable`.

    One that is to be renewed serves meanwhile: no question waits for that.
    """
    owner, scope = account.owner_of_tokens, scope_of_models(account.base_url)
    if (fresh := TOKENS.get(owner, scope)) is not None:
        return fresh
    if (fetch := _fetches.get((owner, scope))) is None:
        fetch = asyncio.create_task(_renew(account, application, secret, scope))
        _fetches[owner, scope] = fetch
        fetch.add_done_callback(lambda ended: _end(ended, owner, scope))
    if (serving := TOKENS.get_until_its_end(owner, scope)) is not None:
        return serving
    return await asyncio.shield(fetch)  # who hangs up ends it for nobody


def _end(fetch: asyncio.Task[str], owner: Hashable, scope: str) -> None:
    """A failure is told to those that wait, and not kept: the next question tries again."""
    del _fetches[owner, scope]
    if fetch.cancelled() or fetch.exception() is not None:
        TOKENS.renew_later(owner, scope)


async def _renew(account: Account, application: Application, secret: str, scope: str) -> str:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            token = await _fetch(account, application, application.form(secret, scope))
            return TOKENS.keep(account.owner_of_tokens, scope, token)
    except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}".replace(secret, "…")
        log.error("the login gave no token", credential_id=account.credential_id, reason=reason)
        raise ProviderUnavailable("The provider's login gives no token at the moment: tell your operator") from None


def forget_token(account: Account, token: str) -> None:
    """The provider has refused it: the next question gets another."""
    TOKENS.forget(account.owner_of_tokens, scope_of_models(account.base_url), token)


async def _fetch(account: Account, application: Application, form: dict[str, str]) -> Token:
    """Raises `ValueError` for an answer without a token."""
    login = replace(account, base_url=get_settings().azure.login_url)
    client = await client_of(login)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    timeout = httpx2.Timeout(TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    url = f"{login.base_url}{application.login_path}"
    async with client.stream("POST", url, data=form, headers=headers, timeout=timeout) as response:
        read = b""
        async for piece in response.aiter_raw():
            read += piece
            if len(read) > MAX_ANSWER_BYTES:
                raise ValueError(f"its answer has more than {MAX_ANSWER_BYTES} bytes")
    if response.status_code != 200:
        raise ValueError(f"it answered {response.status_code}: {read[:500].decode(errors='replace')}")
    return Token.read(json.loads(read))
