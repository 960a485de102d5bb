"""What follows Google's design of APIs: codes of gRPC, numbers as texts, dates, money, pages by tokens."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from worker.providers import sanitize
from worker.providers.rest.calls import RestCalls, decoded
from worker.providers.rest.pages import Page, pages

PAGE_SIZE = 200
EXISTS, EXHAUSTED = "already_exists", "resource_exhausted"
# In the order of their numbers.
_GRPC_CODES = (
    *("ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", EXISTS, "permission_denied"),
    *(EXHAUSTED, "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable"),
    *("data_loss", "unauthenticated"),
)


def code_name(code: object) -> str | None:
    """A code, which is a number or a name, as a word; None for OK, and for none."""
    if isinstance(code, int) and not isinstance(code, bool):
        code = _GRPC_CODES[code] if 0 <= code < len(_GRPC_CODES) else None
    name = sanitize.some_text(code)
    name = name.lower() if name and name.lower() in _GRPC_CODES else name
    return None if name == "ok" else name


def number(value: object, *, bits: int = 32) -> int | None:
    """A whole number: of 64 bits they come as texts."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        value = int(value)
    return None if isinstance(value, bool) else sanitize.number(value, bits=bits)


def day(raw: Mapping[str, Any]) -> str | None:
    try:
        return date(raw["year"], raw["month"], raw["day"]).isoformat()
    except (KeyError, TypeError, ValueError):
        return None


def dollars(raw: Mapping[str, Any]) -> Decimal | None:
    """Whole ones and billionths; None for nothing, and for another currency."""
    units, nanos = number(raw.get("units") or 0, bits=64), number(raw.get("nanos") or 0)
    if raw.get("currencyCode") != "USD" or units is None or nanos is None or units + nanos == 0:
        return None
    return Decimal(units) + Decimal(nanos) / 10**9


def items(calls: RestCalls, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
    """The items of all pages of a list. Raises what `pages` does, and `ValueError` for an answer that is no list."""

    def read(token: str | None) -> Page:
        asked = {**query, "pageSize": PAGE_SIZE, **({"pageToken": token} if token else {})}
        response = calls.send("GET", path, params=asked)
        answer = decoded(response)
        if not isinstance(answer, dict):
            raise ValueError("it is no list of objects")
        found = [] if _is_empty(answer, key) else answer.get(key)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise ValueError("it is no list of objects")
        return Page(found, len(response.content), sanitize.some_text(answer.get("nextPageToken")))

    for page in pages(path, read):
        yield from page


def _is_empty(answer: dict[str, Any], key: str) -> bool:
    """An empty list may be left out."""
    return answer.get(key) is None and "nextPageToken" in answer and "totalSize" in answer
