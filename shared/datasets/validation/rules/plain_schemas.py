"""The types of JSON Schemas in which no rule finds anything: most are read by these, which is ten times faster."""

from types import GenericAlias
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

_SCALARS = ("string", "number", "integer", "boolean", "null")
PLAIN_KEYS = frozenset({"type", "description", "title", "default", "format", "examples"})


class PlainSchemas(NamedTuple):
    """Types of schemas without a finding, `untagged` also without a `type`; `names` of types that need no other key."""

    untagged: Any
    tagged: Any
    names: frozenset[str]

    @property
    def many_untagged(self) -> Any:
        return GenericAlias(list, (self.untagged,))

    @property
    def many_tagged(self) -> Any:
        return GenericAlias(list, (self.tagged,))


class _Schema(msgspec.Struct, gc=False):
    """No rule looks at other keys than these. Those that must be absent hold schemas or names of properties."""

    enum: list[Any] | UnsetType = UNSET
    additionalProperties: bool | UnsetType = UNSET
    required: UnsetType = UNSET
    definitions: UnsetType = UNSET
    defs: UnsetType = msgspec.field(name="$defs", default=UNSET)
    patternProperties: UnsetType = UNSET
    anyOf: "_Some | UnsetType" = UNSET
    oneOf: "_Some | UnsetType" = UNSET
    allOf: "_Some | UnsetType" = UNSET
    not_: UnsetType = msgspec.field(name="not", default=UNSET)
    if_: UnsetType = msgspec.field(name="if", default=UNSET)
    then: UnsetType = UNSET
    else_: UnsetType = msgspec.field(name="else", default=UNSET)


class _WithoutItems(_Schema, gc=False):
    items: UnsetType = UNSET
    properties: UnsetType = UNSET


class _Scalar(_WithoutItems, gc=False):
    type: Literal["string", "number", "integer", "boolean", "null"] | UnsetType = UNSET


class _ScalarOrObject(_WithoutItems, gc=False):
    type: Literal["string", "number", "integer", "boolean", "null", "object"] | UnsetType = UNSET


class _String(_WithoutItems, tag_field="type", tag="string", gc=False):
    pass


class _Number(_WithoutItems, tag_field="type", tag="number", gc=False):
    pass


class _Integer(_WithoutItems, tag_field="type", tag="integer", gc=False):
    pass


class _Boolean(_WithoutItems, tag_field="type", tag="boolean", gc=False):
    pass


class _Null(_WithoutItems, tag_field="type", tag="null", gc=False):
    pass


class _ArrayWithoutObjects(_Schema, tag_field="type", tag="array", kw_only=True, gc=False):
    items: "_WithoutObjects"
    properties: UnsetType = UNSET


class _Array(_Schema, tag_field="type", tag="array", kw_only=True, gc=False):
    items: "_Typed"
    properties: UnsetType = UNSET


class _Object(_Schema, tag_field="type", tag="object", gc=False):
    items: UnsetType = UNSET
    properties: "dict[str, _Typed] | UnsetType" = UNSET


_WithoutObjects = _String | _Number | _Integer | _Boolean | _Null | _ArrayWithoutObjects
_Typed = _String | _Number | _Integer | _Boolean | _Null | _Array | _Object
_Some = Annotated[list[_Typed], msgspec.Meta(min_length=1)]
PLAIN = PlainSchemas(_ScalarOrObject, _Typed, frozenset({*_SCALARS, "object"}))
PLAIN_WITHOUT_OBJECTS = PlainSchemas(_Scalar, _WithoutObjects, frozenset(_SCALARS))
