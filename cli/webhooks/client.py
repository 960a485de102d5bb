"""The official SDK as the commands use it: its two variables, and sentences with exit codes for what goes wrong."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openai import APIConnectionError, APIStatusError, OpenAI

from cli.failure import NOT_ALLOWED, OVER_LIMIT, UNREACHABLE, Failure

VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_KEY")
TIMEOUT = 60.0  # seconds; the longest answer is that of a test, which waits for a receiver
EXIT_CODES = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 429: OVER_LIMIT}


@contextmanager
def connected() -> Iterator[OpenAI]:
    """A client of the server that the environment names; without repeats, since a person can ask again.

    What the server refuses inside of the block is raised as a `Failure`.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        variables = Path(os.environ.get("TUNERY_STATE") or ".state") / "env"
        raise Failure(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set. While `tunery up` runs, "
            f'eval "$(cat {variables})" sets both; for another server, set its /v1 address and a project\'s key.'
        )
    with OpenAI(max_retries=0, timeout=TIMEOUT) as client:
        try:
            yield client
        except APIConnectionError as error:
            raise unreachable(client, plainly(error.__cause__ or error)) from None
        except APIStatusError as error:
            raise refusal(client, error.status_code, error.body) from None


def plainly(error: BaseException) -> str:
    """What a network error says, without its number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def unreachable(client: OpenAI, why: str) -> Failure:
    return Failure(f"The server of OPENAI_BASE_URL ({_address(client)}) does not answer: {why}", UNREACHABLE)


def refusal(client: OpenAI, status: int, error: Any) -> Failure:
    """What to say of an answer that is not 2xx; `error` is what its envelope holds, if it is one of ours."""
    said = error.get("message") if isinstance(error, dict) else None
    sentence = said or f"The server of OPENAI_BASE_URL ({_address(client)}) answers {status}"
    return Failure(sentence.removesuffix(".") + ".", EXIT_CODES.get(status, UNREACHABLE if status >= 500 else 1))


def _address(client: OpenAI) -> str:
    return str(client.base_url).rstrip("/")
