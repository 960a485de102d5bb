"""What several rules ask of a JSON value: its type in words, its elements, whether it is an image or a valid name."""

import re
from collections.abc import Collection
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

Numbered = list[tuple[int, Any]]  # messages with their index in the example
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
MAX_KEY = 64  # characters of a key that is compared with the known ones
LIKENESS = 0.85  # `tool_call_id` is no misspelt `tool_calls`


def kind(value: Any) -> str:
    """The JSON type of a value, in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def listed(value: Any) -> list[Any]:
    """The value if it is a list; an empty list otherwise."""
    return value if isinstance(value, list) else []


def is_json_text(value: Any) -> bool:
    """Whether it is a text in which a list or an object was written as JSON, and so encoded twice."""
    return isinstance(value, str) and value.lstrip()[:1] in ("[", "{")


def is_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image_url"


def hint_to_rename(key: str, known: frozenset[str], present: Collection[str] = ()) -> str | None:
    """What to do about a key that resembles a known one which is not present; None if it does not."""
    meant = _resembled(key, known) if len(key) <= MAX_KEY else None
    return f"Rename `{key}` to `{meant}`" if meant and meant not in present else None


@lru_cache(maxsize=1024)
def _resembled(key: str, known: frozenset[str]) -> str | None:
    return next(iter(get_close_matches(key.strip().lower(), sorted(known), n=1, cutoff=LIKENESS)), None)
