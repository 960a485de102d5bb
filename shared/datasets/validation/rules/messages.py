"""The rules of one message: its role, its keys, its content and parts, its weight and name."""

import json
from collections.abc import Iterator
from typing import Any

from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.rules.formats import ROLES
from shared.datasets.validation.rules.images import examine_image, is_plain_image
from shared.datasets.validation.rules.limits import Limits
from shared.datasets.validation.rules.values import NAME, Numbered, hint_to_rename, is_image, kind, listed

PLAIN_ROLES = ("system", "developer", "user", "assistant")
PLAIN_KEYS = frozenset({"role", "content"})
KEYS = {
    "assistant": frozenset({"role", "content", "name", "weight", "refusal", "audio", "tool_calls", "function_call"}),
    "tool": frozenset({"role", "content", "name", "weight", "tool_call_id"}),
}
OTHER_KEYS = frozenset({"role", "content", "name", "weight"})
ALL_KEYS = frozenset().union(*KEYS.values())
OTHER_NAMES = {
    **dict.fromkeys(("human", "prompter"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "model", "bot", "chatbot", "ai"), "assistant"),
    "observation": "tool",
}
# Parts that OpenAI's chat API takes from the user, but that no provider trains on.
UNTRAINED_PARTS = {"input_audio": "input_audio", "file": "file"}


def not_plain(messages: list[Any]) -> Numbered:
    """The messages, with their index, that have more than a known role, a text and a good name.

    No rule sees the others: none objects to such a message, whatever its text.
    """
    return [(index, message) for index, message in enumerate(messages) if not _is_plain(message)]


def _is_plain(message: Any) -> bool:
    if type(message) is not dict or not 2 <= len(message) <= 3:
        return False
    content = message.get("content")
    if len(message) == 3:
        name = message.get("name")
        if type(name) is not str or not NAME.match(name):
            return False
    return type(content) is str and content != "" and message.get("role") in PLAIN_ROLES


def examine_messages(messages: Numbered, path: str, limits: Limits, *, images: bool) -> Iterator[Finding]:
    """The findings of each message, and of the number of images in the example; `path` leads to the list."""
    n_images = 0
    for index, message in messages:
        message_path = f"{path}[{index}]"
        if not isinstance(message, dict):
            yield Finding("invalid_type", message_path, f"a message must be an object, but this is {kind(message)}")
            continue
        # Each rule takes a microsecond, so it is asked only where it may find something.
        role, content = message.get("role"), message.get("content")
        if role not in PLAIN_ROLES:
            yield from _examine_role(message, message_path)
        if not message.keys() <= PLAIN_KEYS:
            yield from _examine_keys(message, message_path)
        if not isinstance(content, str) or not content or "refusal" in message or "audio" in message:
            yield from _examine_content(message, message_path, limits, images=images)
            n_images += sum(1 for part in listed(content) if is_image(part))
    if n_images > limits.max_images_per_example:
        message = f"{n_images} images, but an example may have at most {limits.max_images_per_example}"
        yield Finding("too_many_images", path, message)


def _examine_role(message: dict[str, Any], path: str) -> Iterator[Finding]:
    role = message.get("role")
    if "role" not in message:
        yield Finding("message_missing_key", path, "the message has no `role`")
    elif not isinstance(role, str) or role not in ROLES:
        shown = f"the role {role[:40]!r} is not known" if isinstance(role, str) else f"`role` is {kind(role)}"
        yield Finding("unrecognized_role", f"{path}.role", shown, hint=_hint_for_role(role))
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        yield Finding(
            "message_missing_key",
            path,
            "a message of the role tool needs the `tool_call_id` of the call that it answers",
        )
    if role == "function" and not isinstance(message.get("name"), str):
        yield Finding("message_missing_key", path, "a message of the role function needs the `name` of the function")


def _hint_for_role(role: Any) -> str | None:
    """Name the known role that is meant: another one may be written in capitals, or have another tool's name."""
    plain = role.strip().lower() if isinstance(role, str) else ""
    meant = plain if plain in ROLES else OTHER_NAMES.get(plain)
    return f"Write the role as `{meant}`" if meant else None


def _examine_keys(message: dict[str, Any], path: str) -> Iterator[Finding]:
    role = message.get("role")
    known = KEYS.get(role, OTHER_KEYS) if isinstance(role, str) else ALL_KEYS
    for key in message.keys() - known:
        message_ = f"a message of this role has no key `{key[:64]}`"
        yield Finding("message_unrecognized_key", path, message_, hint=hint_to_rename(key, known, message))
    if "weight" in message:
        yield from _examine_weight(message["weight"], role, path)
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        yield Finding("invalid_type", f"{path}.name", f"`name` must be a string, but this is {kind(name)}")
    elif name is not None and not NAME.match(name):
        yield Finding(
            "invalid_name",
            f"{path}.name",
            f"the name {name[:40]!r} is longer than 64 characters or has characters that are not allowed",
        )


def _examine_weight(weight: Any, role: Any, path: str) -> Iterator[Finding]:
    if weight is None:
        return
    # Spreadsheets and pandas write 1.0 for 1; a boolean is no number in JSON.
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight not in (0, 1):
        shown = json.dumps(weight) if isinstance(weight, int | float) else kind(weight)
        yield Finding("invalid_weight", f"{path}.weight", f"`weight` must be 0 or 1, but this is {shown}")
    elif role != "assistant":
        yield Finding("misplaced_weight", f"{path}.weight", "a message that is not the assistant's has a `weight`")


def _examine_content(message: dict[str, Any], path: str, limits: Limits, *, images: bool) -> Iterator[Finding]:
    role, content = message.get("role"), message.get("content")
    content_path = f"{path}.content"
    may_omit_content = role == "assistant" and any(message.get(k) for k in ("tool_calls", "function_call", "refusal"))
    if isinstance(content, list) and content:
        yield from _examine_parts(content, content_path, role, limits, images=images)
        if role in ("tool", "function"):
            message_ = f"the `content` of a {role} message is a list of parts"
            yield Finding("tool_content_parts", content_path, message_)
    elif content is None and (may_omit_content or (role == "function" and "content" in message)):
        pass
    elif "content" not in message:
        yield Finding("message_missing_key", path, "the message has no `content`")
    elif not isinstance(content, str):
        shown = "is an empty list" if content == [] else f"is {kind(content)}"
        yield Finding(
            "missing_content", content_path, f"`content` must be a string or a list of parts, but this {shown}"
        )
    elif not content and not may_omit_content:
        yield Finding("empty_content", content_path, "`content` is empty")
    if role == "assistant" and not isinstance(message.get("refusal"), str | None):
        yield Finding("invalid_type", f"{path}.refusal", "`refusal` must be a string")
    if role == "assistant" and message.get("audio") is not None:
        yield Finding("untrained_part", f"{path}.audio", "`audio` refers to a spoken answer, which is not trained on")


def _examine_parts(parts: list[Any], path: str, role: Any, limits: Limits, *, images: bool) -> Iterator[Finding]:
    for index, part in enumerate(parts):
        type_ = part.get("type") if isinstance(part, dict) else None
        if type_ == "text" and isinstance(part.get("text"), str):
            continue
        part_path = f"{path}[{index}]"
        if type_ == "image_url":
            if role == "user" and images and is_plain_image(part.get("image_url")):
                continue
            yield from examine_image(part.get("image_url"), part_path, limits)
            if role != "user" or not images:
                yield Finding("misplaced_image", part_path, "an image is not allowed here")
        elif type_ == "refusal" and role == "assistant":
            if not isinstance(part.get("refusal"), str):
                yield Finding("invalid_part", f"{part_path}.refusal", "`refusal` must be a string")
            elif len(parts) > 1:
                yield Finding("mixed_parts", part_path, "a refusal must be the only part of its message")
        elif role == "user" and isinstance(type_, str) and isinstance(part.get(UNTRAINED_PARTS.get(type_)), dict):
            yield Finding("untrained_part", part_path, f"a part of the type {type_!r} is not trained on")
        elif type_ != "text":
            shown = f"of the type {str(type_)[:40]!r}" if isinstance(part, dict) else kind(part)
            yield Finding("invalid_part", part_path, f"a part must be a text or an image, but this is {shown}")
        elif not isinstance(part.get("text"), str):
            yield Finding("invalid_part", f"{part_path}.text", "`text` must be a string")
