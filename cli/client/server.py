"""The server and the key of a client's command, and one sentence for whatever goes wrong between the two.

OPENAI_BASE_URL and OPENAI_API_KEY name them; if neither is set, the running `./tunery up` of the same checkout does.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cli.api_client import ADDRESS, PROJECT_KEY, plainly
from cli.failure import Failure
from cli.running_up import client_variables

if TYPE_CHECKING:  # the import takes half a second, which --help and usage errors need not wait for
    from httpx2 import Response
    from openai import APIStatusError, OpenAI

TIMEOUT_SECONDS = 120.0
CONNECT_SECONDS = 10.0
NO_SUCH_ROUTE = (404, 405, 501)
OF_AN_API = ("application/json", "text/event-stream")
DOWNLOADS = ("/content", "/result.csv")


@dataclass(frozen=True)
class Server:
    """Where a command goes. `is_local`: `tunery up` of this checkout has named it."""

    base_url: str
    api_key: str = field(repr=False)
    is_local: bool = False


def find_server() -> Server:
    """Raises `Failure` if only one variable is set, if nothing is and nothing runs here, or if a value cannot be one.

    A variable that is set alone is no reason to look into the file: its owner means another server.
    """
    found = {name: os.environ.get(name, "").strip() for name in (ADDRESS, PROJECT_KEY)}
    missing = [name for name, value in found.items() if not value]
    is_local = len(missing) == len(found)
    if is_local:
        found = _of_running_up()
    elif missing:
        raise Failure(
            f"{missing[0]} is not set, and {next(name for name in found if name not in missing)} is. Set both: the /v1 "
            "address of a server and a key of it. With neither set, a running `./tunery up` is asked."
        )
    _check(found)
    return Server(found[ADDRESS].rstrip("/"), found[PROJECT_KEY], is_local)


def _of_running_up() -> dict[str, str]:
    variables = client_variables()
    if not variables:
        raise Failure(
            f"No server is named, and none runs here. Start one with `./tunery up`, or set {ADDRESS} (a server's /v1 "
            f"address) and {PROJECT_KEY}."
        )
    return {name: variables.get(name, "") for name in (ADDRESS, PROJECT_KEY)}


def _check(found: dict[str, str]) -> None:
    address, key = found[ADDRESS], found[PROJECT_KEY]
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address:
        raise Failure(f"{ADDRESS} is {address!r}; it must be an address such as http://127.0.0.1:8000/v1.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise Failure(f"{PROJECT_KEY} has characters that no key has: copy the key again, without spaces or quotes.")


@contextmanager
def connected() -> Iterator["OpenAI"]:
    """A client of that server, which repeats no request. Raises `Failure` for whatever goes wrong in the block."""
    server = find_server()
    import httpx2
    from openai import APIConnectionError, APIStatusError, DefaultHttpxClient, OpenAI, OpenAIError

    http = DefaultHttpxClient(trust_env=not server.is_local, event_hooks={"response": [partial(_refuse_pages, server)]})
    timeout = httpx2.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS)
    with OpenAI(
        base_url=server.base_url, api_key=server.api_key, max_retries=0, timeout=timeout, http_client=http
    ) as client:
        try:
            yield client
        except APIConnectionError as error:
            raise _no_answer(server, error.__cause__ or error) from None
        except APIStatusError as error:
            raise _refusal(server, error) from None
        except httpx2.TransportError as error:  # in the middle of a streamed answer the SDK passes these on
            raise _no_answer(server, error) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Failure(f"{error.filename or 'A file'} cannot be read or written: {error.strerror}.") from None
        except UnicodeEncodeError:
            raise Failure("What was given is not text in UTF-8, which the server needs.") from None
        except (OpenAIError, JSONDecodeError) as error:
            raise Failure(f"{_name(server)} answered what could not be understood: {error}") from None


def _refuse_pages(server: Server, response: "Response") -> None:
    """An address without /v1 may be a web site, whose pages the SDK would return as if they were objects."""
    is_download = response.url.path.endswith(DOWNLOADS)
    if response.is_success and not is_download and not response.headers.get("content-type", "").startswith(OF_AN_API):
        raise Failure(f"{_name(server)} does not answer as OpenAI's API does. {_ask_for_v1(server)}")


def _no_answer(server: Server, error: BaseException) -> Failure:
    import httpx2

    if isinstance(error, httpx2.ConnectTimeout):
        what = f"did not accept the connection within {CONNECT_SECONDS:.0f} s. Check the address and the network"
    elif isinstance(error, httpx2.TimeoutException):
        what = (
            f"did not answer within {TIMEOUT_SECONDS:.0f} s. What was asked may have happened all the same: "
            "look before you repeat it"
        )
    else:
        start = "start it with `./tunery up`, or " if server.is_local or "127.0.0.1" in server.base_url else ""
        what = f"does not answer: {plainly(error)}. If it is not running, {start}check the address"
    return Failure(f"{_name(server)} {what}.")


def _refusal(server: Server, error: "APIStatusError") -> Failure:
    status, message = error.status_code, _message(error.body)
    if status == 404 and not _has_version(server) and (not message or _is_no_route(error)):
        return Failure(f"{_name(server)} does not know this address. {_ask_for_v1(server)}")
    if status == 401:
        return Failure(
            f"{_name(server)} does not accept the key: {message or 'it answers 401'}. Check {PROJECT_KEY}."
            if PROJECT_KEY not in message
            else f"{message}."
        )
    if status == 429:
        wait = error.response.headers.get("retry-after", "")
        return Failure(f"{message or 'Too many requests'}." + (f" Try again in {wait} s." if wait.isdigit() else ""))
    if status >= 500:
        return Failure(f"{_name(server)} has failed ({status}{f': {message}' if message else ''}). Try again soon.")
    return Failure(f"{message}." if message else f"{_name(server)} answers {status}.")


def _message(body: Any) -> str:
    """The sentence of an error, in the shapes that OpenAI-like servers give it."""
    found = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    return found.strip().removesuffix(".") if isinstance(found, str) else ""


def _is_no_route(error: "APIStatusError") -> bool:
    """Whether the path is unknown, and not the object. Not all servers have a code for it."""
    return error.code == "unknown_url" or error.code is None


def _has_version(server: Server) -> bool:
    return any(part[:1] == "v" and part[1:2].isdigit() for part in urlsplit(server.base_url).path.split("/"))


def _ask_for_v1(server: Server) -> str:
    return "Check the address." if _has_version(server) else f"Did you mean {ADDRESS}={server.base_url}/v1 ?"


def _name(server: Server) -> str:
    return f"The server of `./tunery up` ({server.base_url})" if server.is_local else f"{ADDRESS} ({server.base_url})"


@contextmanager
def tunerys_own(what: str, do: str) -> Iterator[None]:
    """For a request that only Tunery knows, about an object that the server is known to have: 404 means no such route.

    Raises `Failure` with what the server lacks, and with `do`, what to do instead.
    """
    from openai import APIStatusError

    try:
        yield
    except APIStatusError as error:
        if error.status_code not in NO_SUCH_ROUTE:
            raise
        raise Failure(f"This server has no {what}: that is Tunery's own, beyond OpenAI's API. {do}") from None
