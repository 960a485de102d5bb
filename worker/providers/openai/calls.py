"""Sends requests of OpenAI's wire with the SDK and returns decoded JSON instead of the SDK's objects.

To make the SDK's objects of thousands of jobs takes seconds, and they check nothing: a field may hold any value.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import Any
from urllib.parse import quote

import httpx2
from openai import APIStatusError, OpenAI, Stream

from shared.projects.credentials import Account
from shared.providers.entra import scope_of_models
from worker.net.call_limits import AnswerTooLarge
from worker.net.limited_client import LimitedClient
from worker.providers import sanitize
from worker.providers.openai import parsing
from worker.providers.rest.entra import Signed
from worker.runtime import heartbeat

CONNECT_TIMEOUT_SECONDS = 5
READ_CHUNK_BYTES = 256 << 10
# Of one list: a server that always has one more page must not hold a step for ever.
MAX_PAGES = 2000
MAX_LIST_SECONDS = 600.0
MAX_LIST_BYTES = 256 << 20
_decoding = Lock()  # one large answer at a time takes memory; the threads of a process have one interpreter anyway


def sdk_client(account: Account, timeout: timedelta) -> OpenAI:
    """The operator chose the deployment's provider; where a project's own account leads is guarded."""
    guarded_url = account.base_url if account.project_id is not None else None
    sdk = OpenAI(
        base_url=account.base_url,
        api_key="none",  # `_signing` sets the header, whose name depends on the dialect
        max_retries=0,  # the SDK repeats a POST: one create made three jobs on a dropped connection
        timeout=httpx2.Timeout(timeout.total_seconds(), connect=CONNECT_TIMEOUT_SECONDS),
        http_client=LimitedClient(
            guarded_url=guarded_url, project_id=account.project_id, auth=_signing(account, timeout)
        ),
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
        return _decoded(self._get(path, query or {}))

    def _get(self, path: str, query: Mapping[str, Any]) -> httpx2.Response:
        return self._sdk.get(path, cast_to=httpx2.Response, options={"params": query})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> object:
        return _decoded(self._sdk.post(path, cast_to=httpx2.Response, body=body))

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
            yield _in_time(path, answer.response.iter_bytes(READ_CHUNK_BYTES))

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The items of all pages of a list."""
        for page in self.pages(path, **query):
            yield from page

    def pages(self, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list. Ends at a page whose last item ended an earlier page: that provider ignores `after`.

        A missing `has_more` does not end the list: a page too many costs a call, a page too few loses a job.
        Raises `AnswerTooLarge` and `ListTooSlow`.
        """
        cursors: set[str] = set()
        deadline, bytes_read = time.monotonic() + MAX_LIST_SECONDS, 0
        for _ in range(MAX_PAGES):
            response = self._page(path, query)
            answer, bytes_read = _decoded(response), bytes_read + len(response.content)
            page = parsing.items(answer)
            heartbeat.beat()
            last = page[-1].get("id") if page else None
            if not sanitize.is_id(last):
                yield page
                return
            if last in cursors:
                return
            yield page
            if parsing.json_object(answer).get("has_more") is False:
                return
            cursors.add(str(last))
            query = {**query, "after": last}
            if bytes_read > MAX_LIST_BYTES:
                raise AnswerTooLarge(f"the list {path} has more than {MAX_LIST_BYTES} bytes", retryable=False)
            _check_time(path, deadline)
        raise AnswerTooLarge(f"the list {path} has more than {MAX_PAGES} pages", retryable=False)

    def _page(self, path: str, query: Mapping[str, Any]) -> httpx2.Response:
        try:
            return self._get(path, query)
        except AnswerTooLarge as error:
            raise AnswerTooLarge(f"a page of the list {path}: {error}", retryable=False) from None


class ListTooSlow(Exception):
    """The pages of a list came in time each, and the list did not."""


class Redirected(ValueError):
    """The answer is at another address, which may be a secret: no text has it."""

    def __init__(self, url: str) -> None:
        super().__init__("it is elsewhere")
        self.url = url


def _in_time(path: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    deadline = time.monotonic() + MAX_LIST_SECONDS
    for chunk in chunks:
        heartbeat.beat()
        yield chunk
        _check_time(path, deadline)


def _check_time(path: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise ListTooSlow(f"the list {path} was not read within {MAX_LIST_SECONDS:g} s")


def _decoded(response: httpx2.Response) -> object:
    with _decoding:
        return response.json()
