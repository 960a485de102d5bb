"""Sends requests of OpenAI's wire with the SDK and returns decoded JSON instead of the SDK's objects.

To make the SDK's objects of thousands of jobs takes seconds, and they check nothing: a field may hold any value.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
from openai import APIStatusError, OpenAI, Stream

from shared.projects.credentials import Account
from shared.providers.entra import scope_of_models
from worker.providers import sanitize
from worker.providers.openai import parsing
from worker.providers.rest.calls import CONNECT_TIMEOUT_SECONDS, decoded, limited_client
from worker.providers.rest.entra import Signed
from worker.providers.rest.pages import Page, in_time, pages

READ_CHUNK_BYTES = 256 << 10


def sdk_client(account: Account, timeout: timedelta) -> OpenAI:
    sdk = OpenAI(
        base_url=account.base_url,
        api_key="none",  # `_signing` sets the header, whose name depends on the dialect
        max_retries=0,  # the SDK repeats a POST: one create made three jobs on a dropped connection
        timeout=httpx2.Timeout(timeout.total_seconds(), connect=CONNECT_TIMEOUT_SECONDS),
        http_client=limited_client(account, timeout, auth=_signing(account, timeout)),
    )
    sdk.organization = sdk.project = None  # the SDK takes them from the environment, where they are a client's
    return sdk


def _signing(account: Account, timeout: timedelta) -> httpx2.Auth | Callable[[httpx2.Request], httpx2.Request]:
    """In place of the header that the SDK sets."""
    if account.application is not None:
        return Signed(account, account.application, scope_of_models(account.base_url), timeout)
    headers = account.headers(account.api_key())

    def sign(request: httpx2.Request) -> httpx2.Request:
        del request.headers["authorization"]
        request.headers.update(headers)
        return request

    return sign


def path(base: str, id: str, action: str = "") -> str:
    """Raises `ValueError` for an id by which the call would reach another path, as `DELETE /files/`."""
    if id in {"", ".", ".."}:
        raise ValueError(f"{id!r} is no id")
    return "/".join(filter(None, (base, quote(id, safe=":"), action)))


class JsonCalls:
    def __init__(self, sdk: OpenAI) -> None:
        self._sdk = sdk

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> object:
        return decoded(self._get(path, query or {}))

    def _get(self, path: str, query: Mapping[str, Any]) -> httpx2.Response:
        return self._sdk.get(path, cast_to=httpx2.Response, options={"params": query})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> object:
        return decoded(self._sdk.post(path, cast_to=httpx2.Response, body=body))

    def post_form(self, path: str, fields: Mapping[str, str], accepted: Collection[int]) -> httpx2.Response:
        """The answer to a form, also where its status is one of `accepted`, which is no error then."""
        headers = {"content-type": "multipart/form-data"}
        try:
            return self._sdk.post(path, cast_to=httpx2.Response, body=fields, options={"headers": headers})
        except APIStatusError as error:
            if error.status_code not in accepted:
                raise
            return error.response

    def delete(self, path: str) -> None:
        self._sdk.delete(path, cast_to=httpx2.Response)

    @contextmanager
    def stream(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Iterator[bytes]]:
        """The bytes of a long answer: as many as a file may have. To read them may raise `ListTooSlow`.

        Raises `Redirected` if they are elsewhere.
        """
        options: Any = {"params": query or {}}
        try:
            answer = self._sdk.get(path, cast_to=object, options=options, stream=True, stream_cls=Stream[object])
        except APIStatusError as error:
            if not error.response.has_redirect_location:
                raise
            raise Redirected(str(error.response.url.join(error.response.headers["location"]))) from None
        with answer:
            yield in_time(path, answer.response.iter_bytes(READ_CHUNK_BYTES))

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The items of all pages of a list."""
        for page in self.pages(path, **query):
            yield from page

    def pages(self, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list. Raises what `pages` of `worker.providers.rest` does.

        A missing `has_more` does not end the list: a page too many costs a call, a page too few loses a job.
        """

        def read(after: str | None) -> Page:
            response = self._get(path, {**query, "after": after} if after else query)
            answer = decoded(response)
            found = parsing.items(answer)
            last = found[-1].get("id") if found else None
            has_ended = parsing.json_object(answer).get("has_more") is False
            return Page(found, len(response.content), last if sanitize.is_id(last) else None, has_ended)

        return pages(path, read)


class Redirected(ValueError):
    """The answer is at another address, which may be a secret: no text has it."""

    def __init__(self, url: str) -> None:
        super().__init__("it is elsewhere")
        self.url = url
