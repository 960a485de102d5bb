"""Counts messages that were read by types, and their warnings; calls and answers out of order need the rules."""

from collections.abc import Sequence
from functools import lru_cache

from msgspec import UNSET, UnsetType

from shared.datasets.validation.findings.codes import Severity, severity_of
from shared.datasets.validation.lines.rich_types import (
    ROLES,
    Assistant,
    Function,
    ImagePart,
    Message,
    Part,
    RefusalPart,
    TextPart,
    Tool,
)
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.images import ADDRESS, examine_url
from shared.datasets.validation.rules.limits import Limits
from shared.datasets.validation.rules.tools import is_json, is_object
from shared.datasets.validation.rules.values import NAME

WEIGHTS = (None, 0, 1)
MAX_CACHED_IMAGES, MAX_CACHED_URL = 200, 10_000  # characters: 2 MB in each process


class NeedsRules(Exception):
    """The line may have a finding that is not counted here, so it must be examined rule by rule."""


def counted_messages(
    messages: Sequence[Message], declared: frozenset[str], codes: list[str], limits: Limits
) -> list[CountedMessage]:
    """Each message as it is counted; adds the codes of its warnings. `declared` are the functions on offer."""
    open_calls: set[str] = set()
    counted: list[CountedMessage] = []
    for message in messages:
        name, weight = message.name, message.weight
        if name is UNSET:
            name = None
        elif name is not None and not NAME.match(name):
            codes.append("invalid_name")
        if weight is not UNSET and weight not in WEIGHTS:
            raise NeedsRules
        if message.__class__ is Assistant:
            if open_calls:
                raise NeedsRules
            counted.append(_answer(message, name, declared, open_calls, codes))
            continue
        if message.__class__ is Tool:
            if message.tool_call_id not in open_calls:
                raise NeedsRules
            open_calls.remove(message.tool_call_id)
        elif open_calls:
            raise NeedsRules
        if weight is not UNSET and weight is not None:
            codes.append("misplaced_weight")
        role, content = ROLES[message.__class__], message.content
        if isinstance(content, list):
            if role in ("tool", "function"):
                codes.append("tool_content_parts")
            counted.append(_of_parts(role, content, name, codes, limits))
            continue
        if content == "":
            codes.append("empty_content")
        counted.append(CountedMessage(role, content or "", False, name))
    if open_calls and messages[-1].__class__ is Tool:
        raise NeedsRules
    return counted


def _answer(
    message: Assistant, name: str | None, declared: frozenset[str], open_calls: set[str], codes: list[str]
) -> CountedMessage:
    calls, content = "", message.content
    if content and isinstance(content, str) and _has_only_text(message):
        return CountedMessage("assistant", content, message.weight != 0, name)
    if message.tool_calls or message.function_call:
        open_calls.update([call.id for call in message.tool_calls or ()])
        if len(open_calls) < len(message.tool_calls or ()):
            raise NeedsRules
        calls = _text_of_calls(message, declared, codes)
    elif not (content or message.refusal):
        if content != "":
            raise NeedsRules
        codes.append("empty_content")
    if message.tool_calls == []:
        codes.append("pointless_key")
    if message.audio is not UNSET and message.audio is not None:
        codes.append("untrained_part")
    text = content if isinstance(content, str) else _joined(content, codes)
    return CountedMessage("assistant", text or message.refusal or "", message.weight != 0, name, calls)


def _has_only_text(answer: Assistant) -> bool:
    return answer.tool_calls is answer.function_call is answer.refusal is answer.audio is UNSET


def _text_of_calls(message: Assistant, declared: frozenset[str], codes: list[str]) -> str:
    functions = []
    for call in message.tool_calls or ():
        if call.type == "custom":
            if call.custom is UNSET:
                raise NeedsRules
            codes.append("untrained_tool")
        elif call.function is UNSET:
            raise NeedsRules
        else:
            functions.append(call.function)
    if message.function_call:
        if message.tool_calls:
            codes.append("pointless_key")
        functions.append(message.function_call)
    return "\n".join([_call_text(function, declared, codes) for function in functions])


def _call_text(function: Function, declared: frozenset[str], codes: list[str]) -> str:
    if function.name not in declared:
        codes.append("undeclared_tool")
    if not (is_json(function.arguments) and is_object(function.arguments)):
        codes.append("arguments_not_json")
    return f"{function.name}\n{function.arguments}"


def _of_parts(
    role: str, parts: Sequence[Part | RefusalPart], name: str | None, codes: list[str], limits: Limits
) -> CountedMessage:
    texts: list[str] = []
    low = high = 0
    for part in parts:
        if part.__class__ is TextPart:
            texts.append(part.text)
        elif part.__class__ is RefusalPart:
            raise NeedsRules  # only the assistant refuses
        elif part.__class__ is not ImagePart:
            codes.append("untrained_part")
        else:
            codes += _codes_of_image(part.image_url.url, limits)
            is_low = part.image_url.detail == "low"
            low, high = low + is_low, high + (not is_low)
    return CountedMessage(role, "".join(texts), False, name, images_low=low, images_high=high)


def _codes_of_image(url: str, limits: Limits) -> list[str]:
    if ADDRESS.match(url):
        return []
    examine = _codes_of_small_image if len(url) <= MAX_CACHED_URL else _codes_of_url
    codes = examine(url, limits.max_image_bytes)
    if any(severity_of(code) is Severity.ERROR for code in codes):
        raise NeedsRules
    return codes


def _codes_of_url(url: str, max_bytes: int) -> list[str]:
    return [finding.code for finding in examine_url(url, "", max_bytes)]


_codes_of_small_image = lru_cache(MAX_CACHED_IMAGES)(_codes_of_url)  # an icon may be in each line


def _joined(content: Sequence[TextPart | RefusalPart] | UnsetType | None, codes: list[str]) -> str:
    if not content:
        return ""
    if len(content) > 1:
        codes += ["mixed_parts" for part in content if part.__class__ is RefusalPart]
    return "".join([part.text if isinstance(part, TextPart) else part.refusal for part in content])
