"""Connects a command to the server and the key that its environment names, with OpenAI's official SDK."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cli.failure import NOT_ALLOWED, OVER_LIMIT, UNREACHABLE, Failure
from cli.running_up import client_variables

if TYPE_CHECKING:  # the import takes half a second, which --help and usage errors need not wait for
    from openai import OpenAI

ADDRESS, PROJECT_KEY, ADMIN_KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"
HOW_TO_GET_ONE = {
    PROJECT_KEY: "for another server, set its /v1 address and a project's key",
    ADMIN_KEY: "for another server, set its /v1 address and an admin key of it (`./tunery admin-key create`)",
}
TIMEOUT_SECONDS = 120.0  # two tests of the API wait for others: for a receiver of webhooks, or for a worker
EXIT_CODES = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 429: OVER_LIMIT}
PAGE_ITEMS = 100  # the most that one page of a list holds
Found = dict[str, Any]


@contextmanager
def project_client() -> Iterator["OpenAI"]:
    """A client that acts for a project. Raises `Failure` as `_connected` does."""
    with _connected(PROJECT_KEY) as client:
        yield client


@contextmanager
def admin_client() -> Iterator["OpenAI"]:
    """A client that administers all projects. Raises `Failure` as `_connected` does."""
    with _connected(ADMIN_KEY) as client:
        yield client


@contextmanager
def _connected(key: str) -> Iterator["OpenAI"]:
    """Raises `Failure` for a missing variable, and for whatever the server refuses inside the block.

    The client does not repeat requests: the person at the terminal decides that.
    """
    found = {name: os.environ.get(name, "") for name in (ADDRESS, key)}
    if not any(found.values()):
        found |= client_variables()
    missing = [name for name in (ADDRESS, key) if not found[name]]
    if missing:  # without an address the SDK would send the key to OpenAI
        raise Failure(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set. With neither set, the server of a "
            f"running `./tunery up` is used; {HOW_TO_GET_ONE[key]}."
        )
    import httpx2
    from openai import APIConnectionError, APIStatusError, OpenAI

    with OpenAI(
        base_url=found[ADDRESS],
        api_key=found[key],
        admin_api_key=found[key],
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
    ) as client:
        try:
            yield client
        except APIConnectionError as error:
            raise unreachable(client, plainly(error.__cause__ or error)) from None
        except APIStatusError as error:
            raise refusal(client, error.status_code, error.body) from None
        except httpx2.TransportError as error:  # in the middle of a streamed answer the SDK passes these on
            raise unreachable(client, plainly(error)) from None


def path(*parts: str) -> str:
    """A path below /v1; what a person has typed cannot become more than one part of it."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def of_project(project_id: str, *parts: str) -> str:
    return path("organization", "projects", project_id, *parts)


def get(client: "OpenAI", address: str, params: Found | None = None) -> Any:
    """The JSON of a path that the SDK has no method for."""
    return client.get(address, cast_to=object, options={"params": params or {}})


def post(client: "OpenAI", address: str, body: Found | None = None) -> Any:
    return client.post(address, cast_to=object, body=body or {})


def list_all(client: "OpenAI", address: str, params: Found | None = None) -> Iterator[Found]:
    """Each item of a list that the SDK has no method for, page by page."""
    page = get(client, address, {**(params or {}), "limit": PAGE_ITEMS})
    yield from page["data"]
    while page["has_more"]:
        page = get(client, address, {**(params or {}), "limit": PAGE_ITEMS, "after": page["last_id"]})
        yield from page["data"]


def plainly(error: BaseException) -> str:
    """The text of a network error, without its number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def unreachable(client: "OpenAI", why: str) -> Failure:
    return Failure(f"The server of OPENAI_BASE_URL ({_address(client)}) does not answer: {why}", UNREACHABLE)


def refusal(client: "OpenAI", status: int, error: Any) -> Failure:
    """The sentence and exit code for an answer that is not 2xx; `error` is the content of its error envelope."""
    message = error.get("message") if isinstance(error, dict) else None
    sentence = message or f"The server of OPENAI_BASE_URL ({_address(client)}) answers {status}"
    return Failure(sentence.removesuffix(".") + ".", EXIT_CODES.get(status, UNREACHABLE if status >= 500 else 1))


def _address(client: "OpenAI") -> str:
    return str(client.base_url).rstrip("/")
