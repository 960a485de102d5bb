"""Decodes lines with names, weights, tools, calls and text parts by types that refuse every invalid line.

This is the second path of a check, for lines that are valid but not plain. Images and the older `functions` are not
among its types: such lines are examined rule by rule.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from shared.datasets.validation.findings.finding import UnreadableLine
from shared.datasets.validation.lines.plain import Text
from shared.datasets.validation.lines.secrets import is_suspicious
from shared.datasets.validation.reading.strict_json import read_strictly, repeats_a_key
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.formats import CHAT, PREFERENCE, REINFORCEMENT
from shared.datasets.validation.rules.limits import Limits
from shared.datasets.validation.rules.tools import declared_names, examine_tools, is_json, text_of_tools
from shared.datasets.validation.rules.values import NAME

Name = Annotated[str, msgspec.Meta(pattern=rf"\A{NAME.pattern}")] | UnsetType | None


class TextPart(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True, gc=False):
    text: str


Parts = Annotated[list[TextPart], msgspec.Meta(min_length=1)]


class Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str


class Call(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    function: Function
    type: Literal["function"] | UnsetType = UNSET


class System(msgspec.Struct, tag_field="role", tag="system", forbid_unknown_fields=True, gc=False):
    content: Text | Parts
    name: Name = UNSET


class Developer(System, tag="developer", gc=False):
    pass


class User(System, tag="user", gc=False):
    pass


class Tool(msgspec.Struct, tag_field="role", tag="tool", forbid_unknown_fields=True, kw_only=True, gc=False):
    content: Text  # a list of parts is valid, but a warning
    name: Name = UNSET
    tool_call_id: str


class Assistant(msgspec.Struct, tag_field="role", tag="assistant", forbid_unknown_fields=True, gc=False):
    content: str | Parts | UnsetType | None = UNSET
    name: Name = UNSET
    weight: Literal[0, 1] | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: Annotated[list[Call], msgspec.Meta(min_length=1)] | UnsetType | None = UNSET


Message = System | Developer | User | Tool | Assistant
Output = Annotated[list[Assistant], msgspec.Meta(min_length=1, max_length=1)]
ROLES: dict[type, str] = {System: "system", Developer: "developer", User: "user", Tool: "tool"}


class Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Annotated[list[Message], msgspec.Meta(min_length=1, max_length=1_000)]
    tools: msgspec.Raw | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET


class Preference(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    input: Chat
    preferred_output: Output
    non_preferred_output: Output


class NeedsRules(Exception):
    """The line may have a finding, so it must be examined rule by rule."""


class Declared(NamedTuple):
    """The functions that an example may call, and its declarations as the text whose tokens are counted."""

    names: frozenset[str]
    text: str


_FORMATS: dict[str, tuple[type, bytes]] = {
    CHAT: (Chat, b'{"tools":%b}'),
    REINFORCEMENT: (Chat, b'{"tools":%b}'),
    PREFERENCE: (Preference, b'{"input":{"tools":%b}}'),
}
MAX_CACHED_TOOLS, MAX_CACHED_TOOLS_BYTES = 1_000, 10_000  # 10 MB at most, in each process
_NO_TOOLS = Declared(frozenset(), "")


class RichDecoder:
    """Decodes valid lines of one format. Caches the tools that it has read, because most files repeat them."""

    def __init__(self, format: str, limits: Limits) -> None:
        type_, self._tools_frame = _FORMATS[format]
        self._limits = limits
        self._is_chat, self._is_reinforcement = format == CHAT, format == REINFORCEMENT
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(type_).decode
        self._counted = self._counted_preference if format == PREFERENCE else self._counted_chat
        self._tools: dict[bytes, Declared] = {}

    def read(self, lines: Sequence[bytes], data: bytes) -> list[list[CountedMessage]] | None:
        """The messages of each line as they are counted; None if one of the lines may have a finding."""
        try:
            examples = list(map(self._decode, lines))
            if is_suspicious(data) or repeats_a_key(examples, data):
                return None
            return list(map(self._counted, examples))
        except (ValueError, RecursionError, NeedsRules):
            return None

    def _counted_chat(self, example: Chat) -> list[CountedMessage]:
        declared = self._declared(bytes(example.tools)) if example.tools is not UNSET else _NO_TOOLS
        if isinstance(example.parallel_tool_calls, bool) and not declared.text:
            raise NeedsRules
        messages = list(_counted_messages(example.messages, declared.names))
        if (self._is_chat and not any(message.trained for message in messages)) or (
            self._is_reinforcement and messages[-1].role != "user"
        ):
            raise NeedsRules
        if declared.text:
            messages[0] = msgspec.structs.replace(messages[0], calls=messages[0].calls + declared.text)
        return messages

    def _counted_preference(self, example: Preference) -> list[CountedMessage]:
        outputs = [*example.preferred_output, *example.non_preferred_output]
        if outputs[0] == outputs[1] or any(output.tool_calls for output in outputs):
            raise NeedsRules
        if isinstance(example.input.messages[-1], Tool) or getattr(example.input.messages[-1], "tool_calls", None):
            raise NeedsRules  # The outputs must answer the calls that are open.
        return [*self._counted_chat(example.input), *_counted_messages(outputs, frozenset())]

    def _declared(self, tools: bytes) -> Declared:
        found = self._tools.get(tools)
        return self._read_tools(tools) if found is None else found

    def _read_tools(self, tools: bytes) -> Declared:
        found = _declared_in(self._tools_frame % tools, self._limits)
        if found is None:
            raise NeedsRules
        if len(tools) <= MAX_CACHED_TOOLS_BYTES:
            if len(self._tools) >= MAX_CACHED_TOOLS:
                self._tools.clear()
            self._tools[tools] = found
        return found


def rich_decoder(format: str, limits: Limits) -> RichDecoder | None:
    """The decoder of a format; None for completion, where a line that is not plain always has a finding."""
    return RichDecoder(format, limits) if format in _FORMATS else None


def _counted_messages(messages: Sequence[Message], declared: frozenset[str]) -> Iterator[CountedMessage]:
    open_calls: set[str] = set()
    for message in messages:
        content = message.content
        text = content if isinstance(content, str) else _joined(content)
        if message.__class__ is Assistant:
            if open_calls:
                raise NeedsRules
            yield _answer(message, text, declared, open_calls)
            continue
        if message.__class__ is Tool:
            if message.tool_call_id not in open_calls:
                raise NeedsRules
            open_calls.remove(message.tool_call_id)
        elif open_calls:
            raise NeedsRules
        yield CountedMessage(ROLES[message.__class__], text, False, message.name or None)
    if open_calls and messages[-1].__class__ is Tool:
        raise NeedsRules


def _answer(message: Assistant, text: str, declared: frozenset[str], open_calls: set[str]) -> CountedMessage:
    calls = ""
    if message.tool_calls:
        open_calls.update([call.id for call in message.tool_calls])
        if len(open_calls) < len(message.tool_calls):
            raise NeedsRules
        calls = "\n".join([_call_text(call.function, declared) for call in message.tool_calls])
    elif not (message.content or message.refusal):
        raise NeedsRules
    return CountedMessage("assistant", text or message.refusal or "", message.weight != 0, message.name or None, calls)


def _call_text(function: Function, declared: frozenset[str]) -> str:
    if function.name not in declared or not is_json(function.arguments):
        raise NeedsRules
    return f"{function.name}\n{function.arguments}"


def _joined(content: list[TextPart] | UnsetType | None) -> str:
    return "".join([part.text for part in content]) if content else ""


def _declared_in(line: bytes, limits: Limits) -> Declared | None:
    """What a line declares that has nothing but `tools`, or `input` with them; None if there is any finding."""
    try:
        value, findings = read_strictly(line)
    except UnreadableLine:
        return None
    example = value.get("input", value)
    has_findings = bool(findings) or any(True for _ in examine_tools(example, "$", limits))
    return None if has_findings else Declared(declared_names(example), text_of_tools(example))
