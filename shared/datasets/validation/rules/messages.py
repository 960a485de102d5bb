"""The rules of one message: its role, its keys, its content and parts, its weight and name."""

import re
from collections.abc import Iterator
from typing import Any

from shared.datasets.validation.rules.formats import ROLES, Turn
from shared.datasets.validation.rules.limits import Limits
from shared.datasets.validation.rules.strict_json import Finding

Numbered = list[tuple[int, Any]]
PLAIN_ROLES = ("system", "developer", "user", "assistant")
KEYS = {
    "assistant": frozenset({"role", "content", "name", "weight", "refusal", "tool_calls", "function_call"}),
    "tool": frozenset({"role", "content", "name", "weight", "tool_call_id"}),
}
OTHER_KEYS = frozenset({"role", "content", "name", "weight"})
ALL_KEYS = frozenset().union(*KEYS.values())
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
IMAGE = re.compile(r"(?:https?://[^\s]+|data:image/(?:jpeg|jpg|png|webp);base64,[A-Za-z0-9+/]+={0,2})\Z")
DETAILS = ("low", "high", "auto")


def kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def odd_ones(messages: list[Any]) -> Numbered:
    """Those messages that have more than a role and a text: of the others no rule has anything to say."""
    return [(index, message) for index, message in enumerate(messages) if not _is_plain(message)]


def _is_plain(message: Any) -> bool:
    if type(message) is not dict or len(message) != 2:
        return False
    content = message.get("content")
    return type(content) is str and content != "" and message.get("role") in PLAIN_ROLES


def examine_messages(messages: Numbered, path: str, limits: Limits, *, images: bool) -> Iterator[Finding]:
    n_images = 0
    for index, message in messages:
        place = f"{path}[{index}]"
        if not isinstance(message, dict):
            yield Finding("invalid_type", place, f"a message must be an object, but this is {kind(message)}")
            continue
        yield from _examine_role(message, place)
        yield from _examine_keys(message, place)
        yield from _examine_content(message, place, limits, images=images)
        n_images += sum(1 for part in listed(message.get("content")) if _is_image(part))
    if n_images > limits.max_images_per_example:
        message = f"{n_images} images, but at most {limits.max_images_per_example} are allowed in an example"
        yield Finding("too_many_images", path, message)


def _examine_role(message: dict[str, Any], path: str) -> Iterator[Finding]:
    role = message.get("role")
    if "role" not in message:
        yield Finding("message_missing_key", path, "no `role`")
    elif not isinstance(role, str) or role not in ROLES:
        shown = f"the role {role[:40]!r} is not known" if isinstance(role, str) else f"`role` is {kind(role)}"
        yield Finding("unrecognized_role", f"{path}.role", shown)
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield Finding("message_missing_key", path, "a tool's message needs the `tool_call_id` that it answers")
    if role == "function" and not isinstance(message.get("name"), str):
        yield Finding("message_missing_key", path, "a function's message needs the function's `name`")


def _examine_keys(message: dict[str, Any], path: str) -> Iterator[Finding]:
    role = message.get("role")
    known = KEYS.get(role, OTHER_KEYS) if isinstance(role, str) else ALL_KEYS
    for key in message.keys() - known:
        yield Finding("message_unrecognized_key", path, f"the key `{key[:64]}` is not known in a message of this role")
    if "weight" in message:
        yield from _examine_weight(message["weight"], role, path)
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        yield Finding("invalid_type", f"{path}.name", f"`name` must be a string, but this is {kind(name)}")
    elif name is not None and not NAME.match(name):
        yield Finding(
            "invalid_name", f"{path}.name", f"the name {name[:40]!r} is longer or has other characters than allowed"
        )


def _examine_weight(weight: Any, role: Any, path: str) -> Iterator[Finding]:
    if weight is None:
        return
    if type(weight) is not int or weight not in (0, 1):
        shown = weight if isinstance(weight, int | float) else kind(weight)
        yield Finding("invalid_weight", f"{path}.weight", f"`weight` must be 0 or 1, but this is {shown}")
    elif role != "assistant":
        yield Finding("misplaced_weight", f"{path}.weight", "a weight on a message that is not the assistant's")


def _examine_content(message: dict[str, Any], path: str, limits: Limits, *, images: bool) -> Iterator[Finding]:
    role, content = message.get("role"), message.get("content")
    place = f"{path}.content"
    says_otherwise = role == "assistant" and any(message.get(k) for k in ("tool_calls", "function_call", "refusal"))
    if isinstance(content, list) and content:
        yield from _examine_parts(content, place, role, limits, images=images)
    elif content is None and (says_otherwise or (role == "function" and "content" in message)):
        pass
    elif "content" not in message:
        yield Finding("message_missing_key", path, "no `content`")
    elif not isinstance(content, str):
        shown = "is an empty list" if content == [] else f"is {kind(content)}"
        yield Finding("missing_content", place, f"`content` must be a string or a list of parts, but this {shown}")
    elif not content and not says_otherwise:
        is_answer = role == "assistant" and message.get("weight") != 0
        yield Finding("missing_content" if is_answer else "empty_content", place, "`content` is empty")
    if role == "assistant" and not isinstance(message.get("refusal"), str | None):
        yield Finding("invalid_type", f"{path}.refusal", "`refusal` must be a string")


def _examine_parts(parts: list[Any], path: str, role: Any, limits: Limits, *, images: bool) -> Iterator[Finding]:
    for index, part in enumerate(parts):
        place = f"{path}[{index}]"
        type_ = part.get("type") if isinstance(part, dict) else None
        if type_ == "image_url":
            yield from _examine_image(part.get("image_url"), place, limits)
            if role != "user" or not images:
                yield Finding("misplaced_image", place, "an image where none is allowed")
        elif type_ == "refusal" and role == "assistant":
            if not isinstance(part.get("refusal"), str):
                yield Finding("invalid_part", f"{place}.refusal", "`refusal` must be a string")
        elif type_ != "text":
            shown = f"of the type {str(type_)[:40]!r}" if isinstance(part, dict) else kind(part)
            yield Finding("invalid_part", place, f"a part must be a text or an image, but this is {shown}")
        elif not isinstance(part.get("text"), str):
            yield Finding("invalid_part", f"{place}.text", "`text` must be a string")


def _examine_image(image: Any, path: str, limits: Limits) -> Iterator[Finding]:
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str):
        yield Finding("invalid_part", f"{path}.image_url", "`image_url` must be an object with a `url`")
        return
    if image.get("detail", "auto") not in DETAILS:
        yield Finding("invalid_part", f"{path}.image_url.detail", f"`detail` must be one of {', '.join(DETAILS)}")
    if not IMAGE.match(url):
        yield Finding("invalid_image_url", f"{path}.image_url.url", f"{url[:40]!r} is no address or data of an image")
    elif url.startswith("data:"):
        size = (len(url) - url.index(",") - 1) * 3 // 4
        if size > limits.max_image_bytes:
            message = f"{size / 1e6:,.1f} MB, but an image may have {limits.max_image_bytes / 1e6:,.1f} MB"
            yield Finding("image_too_large", f"{path}.image_url.url", message)


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "image_url"


def turn_of(message: dict[str, Any]) -> Turn:
    """A message without errors, as it is counted."""
    content = message.get("content")
    parts = [part for part in listed(content) if not _is_image(part)]
    text = (
        content if isinstance(content, str) else "".join(part.get("text") or part.get("refusal", "") for part in parts)
    )
    images = [part["image_url"].get("detail", "auto") for part in listed(content) if _is_image(part)]
    is_answer = message["role"] == "assistant"
    low = images.count("low")
    return Turn(
        message["role"],
        text or (message.get("refusal") or "" if is_answer else ""),
        trained=is_answer and message.get("weight") != 0,
        name=message.get("name"),
        calls=_calls_of(message) if is_answer else "",
        images_low=low,
        images_high=len(images) - low,
    )


def _calls_of(message: dict[str, Any]) -> str:
    """The names and arguments of the calls, as far as anyone knows what the model is trained to write."""
    functions = [call["function"] for call in listed(message.get("tool_calls"))]
    if message.get("function_call"):
        functions.append(message["function_call"])
    return "\n".join(f"{function['name']}\n{function['arguments']}" for function in functions)
