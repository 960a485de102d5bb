"""JSON calls below an account's address, for providers whose wire is not OpenAI's."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Lock
from typing import Any

import httpx2

from shared.projects.credentials import Account
from worker.net.limited_client import LimitedClient
from worker.providers import sanitize
from worker.providers.errors import ProviderError

CONNECT_TIMEOUT_SECONDS = 5
_decoding = Lock()  # one large answer at a time takes memory; the threads of a process have one interpreter anyway
Refusal = Callable[[httpx2.Response], ProviderError]


def limited_client(account: Account, timeout: timedelta, **options: Any) -> LimitedClient:
    """The operator chose the deployment's provider; where a project's own account leads is guarded."""
    guarded_url = account.base_url if account.project_id is not None else None
    limits = httpx2.Timeout(timeout.total_seconds(), connect=CONNECT_TIMEOUT_SECONDS)
    return LimitedClient(guarded_url=guarded_url, project_id=account.project_id, timeout=limits, **options)


class RestCalls:
    """`refusal` makes the error for an answer that is not 2xx. `auth`: what signs requests, in place of the key.

    Redirects are not followed.
    """

    def __init__(self, account: Account, timeout: timedelta, refusal: Refusal, auth: httpx2.Auth | None = None) -> None:
        headers = account.headers(account.api_key()) if auth is None else {}

        def sign(request: httpx2.Request) -> httpx2.Request:
            request.headers.update(headers)
            return request

        self._client = limited_client(account, timeout, auth=auth or sign)
        self._base_url, self._refusal = account.base_url, refusal

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> object:
        return decoded(self.send("GET", path, params=query or {}))

    def post(self, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None) -> object:
        return decoded(self.send("POST", path, json=body or {}, params=query or {}))

    def put(self, path: str, body: Mapping[str, Any], query: Mapping[str, Any]) -> object:
        return decoded(self.send("PUT", path, json=body, params=query))

    def delete(self, path: str, query: Mapping[str, Any] | None = None) -> None:
        self.send("DELETE", path, params=query or {})

    def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Raises what `LimitedClient.send` does, and the error for a refusal."""
        response = self._client.request(method, f"{self._base_url}{path}", **options)
        if not response.is_success:
            raise self._refusal(response)
        return response


def decoded(response: httpx2.Response) -> object:
    with _decoding:
        return response.json()


def refused(response: httpx2.Response) -> tuple[str, object]:
    """The sentence and the code of a refusal, which are in its body or in the `error` there."""
    body = said(response)
    inner = body.get("error")
    body = inner if isinstance(inner, dict) else body
    message = sanitize.some_text(body.get("message")) or sanitize.some_text(inner)
    return message or f"HTTP {response.status_code}: {response.text[:500]}", body.get("code")


def said(response: httpx2.Response) -> dict[str, Any]:
    """The JSON object of a refusal; an empty one if it says nothing that can be read."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
