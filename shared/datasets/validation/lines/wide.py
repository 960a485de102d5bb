"""The wider way: good lines with names, weights, tools, calls, parts; what else there may be takes the slow way."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from shared.datasets.validation.lines.fast import Text, is_suspicious
from shared.datasets.validation.rules.formats import CHAT, PREFERENCE, REINFORCEMENT, Turn
from shared.datasets.validation.rules.limits import Limits
from shared.datasets.validation.rules.messages import NAME
from shared.datasets.validation.rules.strict_json import repeats_a_key
from shared.datasets.validation.rules.tools import Declared, declared_in, is_json

Name = Annotated[str, msgspec.Meta(pattern=rf"\A{NAME.pattern}")] | UnsetType | None


class Part(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True, gc=False):
    text: str


Parts = Annotated[list[Part], msgspec.Meta(min_length=1)]


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


class Tool(System, tag="tool", kw_only=True, gc=False):
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


class Refused(Exception):
    """There is more to say about the line than that it is good."""


_FORMATS: dict[str, tuple[type, bytes]] = {
    CHAT: (Chat, b'{"tools":%b}'),
    REINFORCEMENT: (Chat, b'{"tools":%b}'),
    PREFERENCE: (Preference, b'{"input":{"tools":%b}}'),
}
MAX_REMEMBERED, MAX_REMEMBERED_BYTES = 1_000, 10_000
_NOTHING = Declared(frozenset(), "")


class Wide:
    """Reads the good lines of one format, and remembers the tools that it has seen: most files repeat them."""

    def __init__(self, format: str, limits: Limits) -> None:
        type_, self._around = _FORMATS[format]
        self._limits = limits
        self._is_chat, self._is_asking = format == CHAT, format == REINFORCEMENT
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(type_).decode
        self._turns = self._of_preference if format == PREFERENCE else self._of_chat
        self._tools: dict[bytes, Declared] = {}

    def read(self, lines: Sequence[bytes], data: bytes) -> list[list[Turn]] | None:
        """The turns of all lines; None if there is anything to say about one of them."""
        try:
            examples = list(map(self._decode, lines))
            if is_suspicious(data) or repeats_a_key(examples, data):
                return None
            return list(map(self._turns, examples))
        except (ValueError, RecursionError, Refused):
            return None

    def _of_chat(self, example: Chat) -> list[Turn]:
        declared = self._declared(bytes(example.tools)) if example.tools is not UNSET else _NOTHING
        turns = list(_turns_of(example.messages, declared.names))
        if (self._is_chat and not any(turn.trained for turn in turns)) or (
            self._is_asking and turns[-1].role != "user"
        ):
            raise Refused
        if declared.text:
            turns[0] = msgspec.structs.replace(turns[0], calls=turns[0].calls + declared.text)
        return turns

    def _of_preference(self, example: Preference) -> list[Turn]:
        outputs = [*example.preferred_output, *example.non_preferred_output]
        if outputs[0] == outputs[1] or any(output.tool_calls for output in outputs):
            raise Refused
        return [*self._of_chat(example.input), *_turns_of(outputs, frozenset())]

    def _declared(self, tools: bytes) -> Declared:
        found = self._tools.get(tools)
        return self._remember(tools) if found is None else found

    def _remember(self, tools: bytes) -> Declared:
        found = declared_in(self._around % tools, self._limits)
        if found is None:
            raise Refused
        if len(tools) <= MAX_REMEMBERED_BYTES:
            if len(self._tools) >= MAX_REMEMBERED:
                self._tools.clear()
            self._tools[tools] = found
        return found


def wide_of(format: str, limits: Limits) -> Wide | None:
    return Wide(format, limits) if format in _FORMATS else None


def _turns_of(messages: Sequence[Message], declared: frozenset[str]) -> Iterator[Turn]:
    called: set[str] = set()
    for message in messages:
        content = message.content
        text = content if isinstance(content, str) else _joined(content)
        if message.__class__ is Assistant:
            yield _answer(message, text, declared, called)
        elif message.__class__ is Tool and message.tool_call_id not in called:
            raise Refused
        else:
            yield Turn(ROLES[message.__class__], text, False, message.name or None)


def _answer(message: Assistant, text: str, declared: frozenset[str], called: set[str]) -> Turn:
    calls = ""
    if message.tool_calls:
        called.update([call.id for call in message.tool_calls])
        calls = "\n".join([_called(call.function, declared) for call in message.tool_calls])
    elif not (message.content or message.refusal):
        raise Refused
    return Turn("assistant", text or message.refusal or "", message.weight != 0, message.name or None, calls)


def _called(function: Function, declared: frozenset[str]) -> str:
    if function.name not in declared or not is_json(function.arguments):
        raise Refused
    return f"{function.name}\n{function.arguments}"


def _joined(content: list[Part] | UnsetType | None) -> str:
    return "".join([part.text for part in content]) if content else ""
