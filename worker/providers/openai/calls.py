"""Sends requests of OpenAI's wire with the SDK and returns decoded JSON instead of the SDK's objects.

To make the SDK's objects of thousands of jobs takes seconds, and they check nothing: a field may hold any value.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx2
from openai import OpenAI

from shared.projects.credentials import Account
from worker.net.ssrf_transport import guarded_transport
from worker.providers import sanitize
from worker.providers.openai import parsing
from worker.runtime import heartbeat

CONNECT_TIMEOUT_SECONDS = 5
MAX_PAGES = 10_000  # of one list: a server that always says `has_more` must not hold a step for ever


def sdk_client(account: Account, timeout: timedelta) -> OpenAI:
    sdk = OpenAI(
        base_url=account.base_url,
        api_key="none",  # `_signing` sets the header, whose name depends on the dialect
        max_retries=0,  # the SDK repeats a POST: one create made three jobs on a dropped connection
        timeout=httpx2.Timeout(timeout.total_seconds(), connect=CONNECT_TIMEOUT_SECONDS),
        http_client=httpx2.Client(auth=_signing(account), follow_redirects=False, transport=_transport(account)),
    )
    sdk.organization = sdk.project = None  # the SDK takes them from the environment, where they are a client's
    return sdk


def _signing(account: Account) -> Callable[[httpx2.Request], httpx2.Request]:
    headers = account.headers()

    def sign(request: httpx2.Request) -> httpx2.Request:
        del request.headers["authorization"]
        request.headers.update(headers)
        return request

    return sign


def _transport(account: Account) -> httpx2.BaseTransport | None:
    """The operator chose the deployment's provider; where a project's own account leads is checked."""
    return guarded_transport(account.base_url) if account.project_id is not None else None


def path(base: str, id: str, action: str = "") -> str:
    """Raises `ValueError` for an id by which the call would reach another path, as `DELETE /files/`."""
    if id in {"", ".", ".."}:
        raise ValueError(f"{id!r} is no id")
    return "/".join(filter(None, (base, quote(id, safe=":"), action)))


class JsonCalls:
    def __init__(self, sdk: OpenAI) -> None:
        self._sdk = sdk

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> object:
        return self._sdk.get(path, cast_to=object, options={"params": query or {}})

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> object:
        return self._sdk.post(path, cast_to=object, body=body)

    def delete(self, path: str) -> None:
        self._sdk.delete(path, cast_to=object)

    def items(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """The items of all pages of a list."""
        for page in self.pages(path, **query):
            yield from page

    def pages(self, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list. Ends at a page whose last item ended an earlier page: that provider ignores `after`.

        A missing `has_more` does not end the list: a page too many costs a call, a page too few loses a job.
        """
        cursors: set[str] = set()
        for _ in range(MAX_PAGES):
            answer = self.get(path, query)
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
        raise ValueError(f"the list {path} has more than {MAX_PAGES} pages")
