"""Counts messages that were read by types, and their warnings; calls and answers out of order need the rules."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from shared.datasets.validation.lines.rich_types import (
    ROLES,
    Assistant,
    Function,
    ImagePart,
    Message,
    Part,
    TextPart,
    Tool,
)
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.tools import is_json
from shared.datasets.validation.rules.values import NAME


class NeedsRules(Exception):
    """The line may have a finding that is not counted here, so it must be examined rule by rule."""


def counted_messages(messages: Sequence[Message], declared: frozenset[str], codes: list[str]) -> list[CountedMessage]:
    """Each message as it is counted; adds the codes of its warnings. `declared` are the functions on offer."""
    open_calls: set[str] = set()
    counted: list[CountedMessage] = []
    for message in messages:
        content, name = message.content, message.name if isinstance(message.name, str) else None
        if name is not None and not NAME.match(name):
            codes.append("invalid_name")
        if message.__class__ is Assistant:
            if open_calls:
                raise NeedsRules
            counted.append(_answer(message, name, declared, open_calls, codes))
            continue
        if message.__class__ is Tool:
            if message.tool_call_id not in open_calls:
                raise NeedsRules
            open_calls.remove(message.tool_call_id)
            if isinstance(content, list):
                codes.append("tool_content_parts")
        elif open_calls:
            raise NeedsRules
        if message.weight is not UNSET and message.weight is not None:
            codes.append("misplaced_weight")
        if not content:
            codes.append("empty_content")
        role = ROLES[message.__class__]
        if isinstance(content, str):
            counted.append(CountedMessage(role, content, False, name))
        elif isinstance(content, list):
            counted.append(_of_parts(role, content, name, codes))
    if open_calls and messages[-1].__class__ is Tool:
        raise NeedsRules
    return counted


def _answer(
    message: Assistant, name: str | None, declared: frozenset[str], open_calls: set[str], codes: list[str]
) -> CountedMessage:
    calls, content = "", message.content
    if message.tool_calls:
        open_calls.update([call.id for call in message.tool_calls])
        if len(open_calls) < len(message.tool_calls):
            raise NeedsRules
        calls = "\n".join([_call_text(call.function, declared, codes) for call in message.tool_calls])
    elif not (content or message.refusal):
        if content != "":
            raise NeedsRules
        codes.append("empty_content")
    text = content if isinstance(content, str) else _joined(content)
    return CountedMessage("assistant", text or message.refusal or "", message.weight != 0, name, calls)


def _call_text(function: Function, declared: frozenset[str], codes: list[str]) -> str:
    if function.name not in declared:
        codes.append("undeclared_tool")
    if not is_json(function.arguments):
        codes.append("arguments_not_json")
    return f"{function.name}\n{function.arguments}"


def _of_parts(role: str, parts: Sequence[Part], name: str | None, codes: list[str]) -> CountedMessage:
    texts: list[str] = []
    low = high = 0
    for part in parts:
        if part.__class__ is TextPart:
            texts.append(part.text)
        elif part.__class__ is not ImagePart:
            codes.append("untrained_part")
        elif part.image_url.detail == "low":
            low += 1
        else:
            high += 1
    return CountedMessage(role, "".join(texts), False, name, images_low=low, images_high=high)


def _joined(content: Sequence[TextPart] | UnsetType | None) -> str:
    return "".join([part.text for part in content]) if content else ""
