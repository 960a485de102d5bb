"""Counts messages that were read by types, and their warnings; calls and answers out of order need the rules."""

from collections.abc import Iterator, Sequence

from msgspec import UNSET, UnsetType

from shared.datasets.validation.lines.rich_types import (
    ROLES,
    Assistant,
    Audio,
    File,
    Function,
    ImagePart,
    Message,
    Part,
    Tool,
)
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.tools import is_json
from shared.datasets.validation.rules.values import NAME


class NeedsRules(Exception):
    """The line may have a finding that is not counted here, so it must be examined rule by rule."""


def counted_messages(
    messages: Sequence[Message], declared: frozenset[str], codes: list[str]
) -> Iterator[CountedMessage]:
    """Each message as it is counted; adds the codes of its warnings. `declared` are the functions on offer."""
    open_calls: set[str] = set()
    for message in messages:
        content, name = message.content, message.name if isinstance(message.name, str) else None
        if name is not None and not NAME.match(name):
            codes.append("invalid_name")
        if message.__class__ is Assistant:
            if open_calls:
                raise NeedsRules
            yield _answer(message, name, declared, open_calls, codes)
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
            yield CountedMessage(role, content, False, name)
        else:
            yield _of_parts(role, content or [], name, codes)
    if open_calls and messages[-1].__class__ is Tool:
        raise NeedsRules


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
    untrained = sum(part.__class__ is File or part.__class__ is Audio for part in parts)
    codes += ["untrained_part"] * untrained
    images = [part.image_url.detail for part in parts if isinstance(part, ImagePart)]
    low = images.count("low")
    return CountedMessage(role, _joined(parts), False, name, images_low=low, images_high=len(images) - low)


def _joined(content: Sequence[Part] | UnsetType | None) -> str:
    return "".join([getattr(part, "text", "") for part in content]) if content else ""
