"""Signs requests with tokens of an account's application at Microsoft Entra ID, fetched when needed."""

from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from threading import Lock

import httpx2

from shared.projects.credentials import Account
from shared.providers.entra import MAX_ANSWER_BYTES, TOKENS, Application, Token
from shared.settings import get_settings
from worker.net.call_limits import AnswerTooLarge
from worker.net.retry_after import retry_after
from worker.providers import sanitize
from worker.providers.errors import MAX_MESSAGE_LENGTH, ProviderError
from worker.providers.rest.calls import limited_client, said
from worker.runtime import heartbeat

_REFUSALS = {400, 401, 403}


class Signed(httpx2.Auth):
    """With a token for `scope`. One that the provider refuses is forgotten: the next request has another.

    Raises `ProviderError` where there is none; the request itself was not sent then.
    """

    def __init__(self, account: Account, application: Application, scope: str, timeout: timedelta) -> None:
        self._account, self._application, self._scope = account, application, scope
        self._login = replace(account, base_url=get_settings().azure.login_url)
        self._client = limited_client(self._login, timeout)
        self._fetching = Lock()

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        token = self._token()
        request.headers.update(self._account.headers(token))
        response = yield request
        if response.status_code == 401:
            TOKENS.forget(self._account.owner_of_tokens, self._scope, token)

    def _token(self) -> str:
        """Threads that want one together fetch one. One that cannot be renewed serves until its end."""
        owner, scope = self._account.owner_of_tokens, self._scope
        with self._fetching:
            if (fresh := TOKENS.get(owner, scope)) is not None:
                return fresh
            try:
                return TOKENS.keep(owner, scope, self._fetch())
            except ProviderError:
                TOKENS.renew_later(owner, scope)
                if (old := TOKENS.get_until_its_end(owner, scope)) is None:
                    raise
                return old

    def _fetch(self) -> Token:
        heartbeat.beat()
        url = f"{self._login.base_url}{self._application.login_path}"
        form = self._application.form(self._account.api_key(), self._scope)
        try:
            response = self._client.post(url, data=form)
            if response.is_success:
                return Token.read(response.json() if len(response.content) <= MAX_ANSWER_BYTES else None)
        except (httpx2.HTTPError, AnswerTooLarge, ValueError, RecursionError) as error:
            raise _unsigned(f"the login gave no token: {type(error).__name__}: {error}") from None
        raise _refused(response)


def _unsigned(sentence: str, code: str = "provider_unavailable", status: int | None = None) -> ProviderError:
    """Nothing was asked of the provider itself. The operator may put it right while jobs wait."""
    return ProviderError(sentence[:MAX_MESSAGE_LENGTH], code, retryable=True, status=status)


def _refused(response: httpx2.Response) -> ProviderError:
    raw = said(response)
    words = sanitize.some_text(raw.get("error_description")) or f"it answered {response.status_code}"
    code = sanitize.some_text(raw.get("error"))
    if response.status_code in _REFUSALS:
        sentence = f"The login refuses the account's application: {words}"
        return _unsigned(sentence, code or "invalid_client", 401)
    error = _unsigned(f"the login gave no token: {words}", status=response.status_code)
    error.retry_after = retry_after(response.headers.get("retry-after", ""))
    return error
