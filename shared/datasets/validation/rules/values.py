"""What several rules ask of a JSON value: its type in words, its elements, whether it is an image or a valid name."""

import re
from typing import Any

Numbered = list[tuple[int, Any]]  # messages with their index in the example
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


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
