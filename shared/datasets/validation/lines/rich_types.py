"""The types of lines with names, weights, tools, calls and parts, which refuse every line with an error.

They accept some of what is only a warning, which `rich` counts. Data of images and the older `functions` are not among
them: such lines are examined rule by rule.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from shared.datasets.validation.lines.plain import Text
from shared.datasets.validation.rules.images import ADDRESS

Name = str | UnsetType | None
Weight = Literal[0, 1] | UnsetType | None


class TextPart(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True, gc=False):
    text: str


class Address(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    url: Annotated[str, msgspec.Meta(pattern=rf"\A{ADDRESS.pattern}")]
    detail: Literal["low", "high", "auto"] | UnsetType = UNSET


class ImagePart(msgspec.Struct, tag_field="type", tag="image_url", forbid_unknown_fields=True, gc=False):
    image_url: Address


class File(msgspec.Struct, tag_field="type", tag="file", forbid_unknown_fields=True, gc=False):
    file: dict[str, str]


class Audio(msgspec.Struct, tag_field="type", tag="input_audio", forbid_unknown_fields=True, gc=False):
    input_audio: dict[str, str]


Part = TextPart | ImagePart | File | Audio
Parts = Annotated[list[TextPart], msgspec.Meta(min_length=1)]


class Function(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    arguments: str


class Call(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: str
    function: Function
    type: Literal["function"] | UnsetType = UNSET


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


class Assistant(msgspec.Struct, tag_field="role", tag="assistant", forbid_unknown_fields=True, gc=False):
    content: str | Parts | UnsetType | None = UNSET
    name: Name = UNSET
    weight: Weight = UNSET
    refusal: str | UnsetType | None = UNSET
    tool_calls: Annotated[list[Call], msgspec.Meta(min_length=1)] | UnsetType | None = UNSET


Message = System | Developer | User | Tool | Assistant
Output = Annotated[list[Assistant], msgspec.Meta(min_length=1, max_length=1)]
ROLES: dict[type, str] = {System: "system", Developer: "developer", User: "user", Tool: "tool"}


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
