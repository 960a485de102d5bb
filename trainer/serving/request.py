"""What a client asks for: one JSON line, checked, since whoever writes it may be wrong."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST_STOPS = 16
MOST_ALTERNATIVES = 20
MOST_SEED = 2**63


class Refused(Exception):
    """The request gets an error line instead of an answer."""

    def __init__(self, code: str, message: str, param: str | None = None, status: int = 400):
        super().__init__(message)
        error = {"status": status, "code": code, "message": message, "param": param}
        self.line: dict[str, Any] = {"error": error | ({"retry_after": 2} if status == 429 else {})}


@dataclass(frozen=True)
class Request:
    """`temperature` 0 is greedy; `logprobs` is the number of alternatives, None for no log probabilities at all."""

    messages: list[dict[str, Any]]
    adapter: str | None = None
    tools: list[dict[str, Any]] | None = None
    max_tokens: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


def parse(line: bytes) -> Request:
    try:
        given = json.loads(line)
    except ValueError:
        raise Refused("invalid_value", "A request is one line of JSON, and this line is none.") from None
    if not isinstance(given, dict):
        raise Refused("invalid_value", "A request is a JSON object.")
    for name in given:
        if name not in _RULES:
            raise Refused("invalid_value", f"There is no field '{name[:50]}'.", name[:50])
    for name, (is_right, rule) in _RULES.items():
        value = given.get(name)
        if not is_right(value) and not (value is None and name != "messages"):
            raise Refused("invalid_value", f"'{name}' must be {rule}.", name)
    fields = {name: value for name, value in given.items() if value is not None}
    return Request(**fields | {"stop": tuple(fields.get("stop", ()))})


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and _is_number(value, least, most)


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _are_stops(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_STOPS and all(isinstance(s, str) and s for s in value)


_RULES: dict[str, tuple[Callable[[Any], object], str]] = {
    "messages": (lambda value: _are_objects(value) and value, "a list of at least one message"),
    "adapter": (lambda value: isinstance(value, str), "the path of a folder, or null"),
    "tools": (_are_objects, "a list of tools, or null"),
    "max_tokens": (lambda value: _is_whole(value, 1, 2**31), "a whole number of at least 1, or null"),
    "temperature": (lambda value: _is_number(value, 0, 2), "a number from 0 to 2"),
    "top_p": (lambda value: _is_number(value, 0, 1), "a number from 0 to 1"),
    "seed": (lambda value: _is_whole(value, -MOST_SEED, MOST_SEED - 1), "a whole number of 64 bits, or null"),
    "stop": (_are_stops, f"a list of at most {MOST_STOPS} texts, none of them empty"),
    "logprobs": (lambda value: _is_whole(value, 0, MOST_ALTERNATIVES), f"from 0 to {MOST_ALTERNATIVES}, or null"),
}
