"""Errors of the wire: those of Google's API design, where only the sentence tells a lack of money."""

import re

import httpx2

from worker.net.retry_after import retry_after
from worker.providers.errors import ProviderError, refusal
from worker.providers.rest import google
from worker.providers.rest.calls import refused as told

NO_MONEY = "insufficient_quota"
_MONEY = re.compile("quota|credit|billing|payment|invoice|spend|balance|suspend", re.IGNORECASE)


def refused(response: httpx2.Response) -> ProviderError:
    message, said = told(response)
    code = google.code_name(said)
    if code == google.EXHAUSTED:  # too many calls, or no money
        code = NO_MONEY if _MONEY.search(message) else "rate_limit_exceeded"
    elif response.status_code == 402 or (response.status_code in {403, 412} and "suspend" in message):
        code = NO_MONEY
    header = response.headers.get("retry-after", "")
    return refusal(response.status_code, message, code, retry_after=retry_after(header))


def is_conflict(error: ProviderError) -> bool:
    """Whether there is one of this id already."""
    return error.code == google.EXISTS or error.status == 409
