"""The types of lines with names, weights, tools, calls and parts, which refuse every line with an error.

They accept what is only a warning, which `rich` counts. Where no rule looks at other keys, they may be there. The older
`functions` are not among the types: such lines are examined rule by rule.

msgspec requires the tag of a struct (`type`, `role`) only in a union. So `Parts` and `Output` take a second struct,
which `rich_messages` and `rich` refuse where it is wrong.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from shared.datasets.validation.lines.plain import Text

Name = str | UnsetType | None
Weight = float | UnsetType | None  # also 1.0, as spreadsheets write it
Object = dict[str, Any]


class TextPart(msgspec.Struct, tag_field="type", tag="text", gc=False):
    text: str


class RefusalPart(msgspec.Struct, tag_field="type", tag="refusal", gc=False):
    refusal: str


class Address(msgspec.Struct, gc=False):
    url: str
    detail: Literal["low", "high", "auto"] | UnsetType = UNSET


class ImagePart(msgspec.Struct, tag_field="type", tag="image_url", gc=False):
    image_url: Address


class File(msgspec.Struct, tag_field="type", tag="file", gc=False):
    file: Object


class Audio(msgspec.Struct, tag_field="type", tag="input_audio", gc=False):
    input_audio: Object


Part = TextPart | ImagePart | File | Audio
Parts = Annotated[list[TextPart | RefusalPart], msgspec.Meta(min_length=1)]


class Function(msgspec.Struct, gc=False):
    name: str
    arguments: str


class Call(msgspec.Struct, gc=False):
    """A call of a function, or of a custom tool."""

    id: str
    function: Function | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    custom: Object | UnsetType = UNSET


class System(msgspec.Struct, tag_field="role", tag="system", forbid_unknown_fields=True, gc=False):
    content: str | Parts
    name: Name = UNSET
    weight: Weight = UNSET


class Developer(System, tag="developer", gc=False):
    pass


class User(msgspec.Struct, tag_field="role", tag="user", forbid_unknown_fields=True, gc=False):
    content: str | Annotated[list[Part], msgspec.Meta(min_length=1)]
    name: Name = UNSET
    weight: Weight = UNSET


class Tool(msgspec.Struct, tag_field="role", tag="tool", forbid_unknown_fields=True, kw_only=True, gc=False):
    content: str | Parts
    name: Name = UNSET
    weight: Weight = UNSET
    tool_call_id: str


class FunctionAnswer(
    msgspec.Struct, tag_field="role", tag="function", forbid_unknown_fields=True, kw_only=True, gc=False
):
    """The older form of an answer to a call."""

    content: str | Parts | None
    name: str
    weight: Weight = UNSET


class Assistant(msgspec.Struct, tag_field="role", tag="assistant", forbid_unknown_fields=True, gc=False):
    content: str | Parts | UnsetType | None = UNSET
    name: Name = UNSET
    weight: Weight = UNSET
    refusal: str | UnsetType | None = UNSET
    audio: Any = UNSET
    tool_calls: list[Call] | UnsetType | None = UNSET
    function_call: Function | UnsetType | None = UNSET


Message = System | Developer | User | Tool | FunctionAnswer | Assistant
Output = Annotated[list[Assistant | User], msgspec.Meta(min_length=1, max_length=1)]
ROLES: dict[type, str] = {
    System: "system",
    Developer: "developer",
    User: "user",
    Tool: "tool",
    FunctionAnswer: "function",
}


class Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]
    tools: msgspec.Raw | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET


class Preference(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    input: Chat
    preferred_output: Output
    non_preferred_output: Output


class Pair(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: str
    completion: Text


class OpenChat(Chat, gc=False, forbid_unknown_fields=False):
    """A chat that may have other keys, which are left out, but for the older `functions`."""

    functions: UnsetType = UNSET


class OpenPreference(Preference, gc=False, forbid_unknown_fields=False):
    input: OpenChat


class OpenPair(Pair, gc=False, forbid_unknown_fields=False):
    pass
