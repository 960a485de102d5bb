"""The schema of a function's parameters: each row is a schema, and where something is found in it."""

from typing import Any

import pytest

from tests.shared.validation.paths import chat, found

TEXT = {"type": "string"}
AT = "$.tools[0].function.parameters"


def of(**schema: Any) -> dict[str, Any]:
    """The parameters of a function with one property `a` of this schema."""
    return {"type": "object", "properties": {"a": schema}}


SCHEMAS: list[tuple[Any, list[str]]] = [
    ({}, []),
    ({"type": "object", "properties": {}}, []),
    ({"type": "object"}, []),
    ({"properties": {}}, [".type"]),
    (TEXT, [".type"]),
    ({"type": ["object", "null"]}, [".type"]),
    ({"type": "object", "properties": []}, [".properties"]),
    ({"type": "object", "properties": {"a": "string"}}, [".properties.a"]),
    ({"type": "object", "properties": {"a": True}}, []),
    ({"type": "object", "properties": {"a": TEXT}, "required": ["a"]}, []),
    ({"type": "object", "properties": {"a": TEXT}, "required": ["b"]}, [".required"]),
    ({"type": "object", "properties": {"a": TEXT}, "required": ["a", "a"]}, [".required"]),
    ({"type": "object", "properties": {"a": TEXT}, "required": "a"}, [".required"]),
    ({"type": "object", "properties": {"a": TEXT}, "required": True}, [".required"]),
    (of(type="str"), [".properties.a.type"]),
    (of(type="String"), [".properties.a.type"]),
    (of(type="int"), [".properties.a.type"]),
    (of(type=None), [".properties.a.type"]),
    (of(type=[]), [".properties.a.type"]),
    (of(type=["string", "null"]), []),
    (of(type=["string", "none"]), [".properties.a.type"]),
    (of(type="string", enum="x"), [".properties.a.enum"]),
    (of(type="string", enum=["x"]), []),
    (of(type="array"), [".properties.a"]),
    (of(type="array", items=TEXT), []),
    (of(type="array", items={"type": "list"}), [".properties.a.items.type"]),
    (of(type="object", additionalProperties=False), []),
    (of(type="object", additionalProperties={"type": "any"}), [".properties.a.additionalProperties.type"]),
    (of(anyOf=[TEXT, {"type": "null"}]), []),
    (of(anyOf=[TEXT, {"type": "nul"}]), [".properties.a.anyOf[1].type"]),
    (of(anyOf=[{"type": "array"}, {"$ref": "#"}]), [".properties.a.anyOf[0]"]),
    (of(anyOf=[{"type": "object", "required": ["b"]}]), [".properties.a.anyOf[0].required"]),
    (of(oneOf=[{"anyOf": []}], enum=["x"]), [".properties.a.oneOf[0].anyOf"]),
    (of(type="string", allOf=[TEXT, True]), []),
    (of(anyOf=TEXT), [".properties.a.anyOf"]),
    (of(oneOf=[]), [".properties.a.oneOf"]),
    (of(allOf=[{"type": "dict"}]), [".properties.a.allOf[0].type"]),
    ({"type": "object", "$defs": {"b": {"type": "float"}}}, [".$defs.b.type"]),
    ({"type": "object", "properties": {"type": TEXT, "required": TEXT, "items": TEXT}}, []),
]

STRICT: list[tuple[Any, list[str]]] = [
    ({}, []),
    ({"type": "object", "properties": {"a": TEXT}, "required": ["a"], "additionalProperties": False}, []),
    ({"type": "object", "properties": {"a": TEXT}, "required": ["a"]}, [""]),
    ({"type": "object", "properties": {"a": TEXT}, "required": [], "additionalProperties": False}, [""]),
    ({**of(anyOf=[{"type": "object"}]), "required": ["a"], "additionalProperties": False}, []),
    ({"type": "object", "properties": {"": TEXT}, "required": [], "additionalProperties": False}, [""]),
    (
        {
            "type": "object",
            "properties": {"b": TEXT, "a": TEXT},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
        [],
    ),
    (
        {
            "type": "object",
            "properties": {"a": {"type": "array", "items": {"type": "object"}}},
            "required": ["a"],
            "additionalProperties": False,
        },
        [".properties.a.items"],
    ),
]


@pytest.mark.parametrize(
    ("schema", "strict", "expected"), [(s, False, e) for s, e in SCHEMAS] + [(s, True, e) for s, e in STRICT]
)
def test_parameters_have_these_findings(schema: Any, strict: bool, expected: list[str]) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": strict}}
    assert found(chat(tools=[tool])) == sorted(f"warning invalid_parameters {AT}{path}" for path in expected)
