"""Errors of the wire: `{"code": 5, "message": "…"}`, with the codes of gRPC, by number or by name."""

import re

import httpx2

from worker.net.retry_after import retry_after
from worker.providers import sanitize
from worker.providers.errors import ProviderError, refusal
from worker.providers.rest.calls import said

# Of gRPC, in the order of their numbers.
_NAMES = (
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
)
EXISTS = "already_exists"
NO_MONEY = "insufficient_quota"
_MONEY = re.compile("quota|credit|billing|payment|invoice|spend|balance|suspend", re.IGNORECASE)


def refused(response: httpx2.Response) -> ProviderError:
    message, code = _said(response)
    if code == "resource_exhausted":  # too many calls, or no money: only the sentence tells
        code = NO_MONEY if _MONEY.search(message) else "rate_limit_exceeded"
    elif response.status_code == 402 or (response.status_code in {403, 412} and "suspend" in message):
        code = NO_MONEY
    header = response.headers.get("retry-after", "")
    return refusal(response.status_code, message, code, retry_after=retry_after(header))


def is_conflict(error: ProviderError) -> bool:
    """Whether there is one of this id already."""
    return error.code == EXISTS or error.status == 409


def code_name(code: object) -> str | None:
    """A code as a word; None for OK, and for none."""
    if isinstance(code, int) and not isinstance(code, bool):
        code = _NAMES[code] if 0 <= code < len(_NAMES) else None
    name = sanitize.some_text(code)
    name = name.lower() if name and name.lower() in _NAMES else name
    return None if name == "ok" else name


def _said(response: httpx2.Response) -> tuple[str, str | None]:
    """The sentence and the code. Chats answer with OpenAI's envelope, and some gateways with both."""
    body = said(response)
    inner = body.get("error")
    body = inner if isinstance(inner, dict) else body
    message = sanitize.some_text(body.get("message")) or sanitize.some_text(inner)
    if message is not None:
        return message, code_name(body.get("code"))
    return f"HTTP {response.status_code}: {response.text[:500]}", None
