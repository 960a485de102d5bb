"""The rules of a function's `parameters`: a JSON Schema of an object, as the chat API demands when a tool is used."""

from collections.abc import Iterator
from typing import Any

import msgspec

from shared.datasets.validation.findings.finding import Finding
from shared.datasets.validation.rules.plain_schemas import PLAIN, PLAIN_KEYS, PLAIN_WITHOUT_OBJECTS, PlainSchemas
from shared.datasets.validation.rules.values import kind

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
# Names that other languages give to the types, with the name that JSON Schema has for each.
OTHER_NAMES = {
    **dict.fromkeys(("str", "text", "char", "date", "datetime", "uuid", "url", "email", "enum"), "string"),
    **dict.fromkeys(("int", "long", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("bool", "bit"), "boolean"),
    **dict.fromkeys(("dict", "map", "json", "struct"), "object"),
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("none", "nil", "nonetype"), "null"),
}
SCHEMAS = ("items", "additionalProperties", "not", "if", "then", "else")
LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf")
NAMED_SCHEMAS = ("properties", "$defs", "definitions", "patternProperties")
HOLDS_SCHEMAS = frozenset({*SCHEMAS, *LISTS_OF_SCHEMAS, *NAMED_SCHEMAS})


def examine_parameters(parameters: dict[str, Any], path: str, *, strict: bool) -> Iterator[Finding]:
    """The findings in a function's `parameters`. An empty object is a function without parameters."""
    if parameters and parameters.get("type") != "object":
        has = f"is {parameters['type']!r:.40}" if "type" in parameters else "is missing"
        yield _finding(f"{path}.type", f"the `type` of `parameters` must be `object`, but this {has}")
    yield from _examine_schema(parameters, path)
    if strict and parameters:
        yield from _examine_strict(parameters, path)


def _finding(path: str, message: str) -> Finding:
    return Finding("invalid_parameters", path, message)


def _examine_schema(schema: Any, path: str) -> Iterator[Finding]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield _finding(path, f"a schema must be an object, but this is {kind(schema)}")
        return
    if "type" in schema:
        yield from _examine_type(schema, path)
    if "required" in schema:
        yield from _examine_required(schema, path)
    if not isinstance(schema.get("enum", [None]), list):
        yield _finding(f"{path}.enum", f"`enum` must be a list of values, but this is {kind(schema['enum'])}")
    if not schema.keys().isdisjoint(HOLDS_SCHEMAS):
        yield from _examine_inner_schemas(schema, path)


def _not_plain(schemas: list[Any], types: PlainSchemas = PLAIN) -> list[int]:
    """The indexes of schemas in which some rule may find something."""
    if _is_of(types.many_untagged, schemas) or _is_of(types.many_tagged, schemas):
        return []
    return [index for index, schema in enumerate(schemas) if not _is_plain(schema, types)]


def _is_plain(schema: Any, types: PlainSchemas) -> bool:
    if type(schema) is not dict:
        return False
    if "type" not in schema:
        return _is_of(types.untagged, schema)
    type_ = schema["type"]
    if type_ == "array":
        return _is_of(types.tagged, schema)
    return type(type_) is str and type_ in types.names and schema.keys() <= PLAIN_KEYS


def _is_of(type_: Any, value: Any) -> bool:
    try:
        msgspec.convert(value, type_)
    except ValueError:
        return False
    return True


def _examine_inner_schemas(schema: dict[str, Any], path: str) -> Iterator[Finding]:
    for key in NAMED_SCHEMAS:
        if key not in schema:
            continue
        named = schema[key]
        if not isinstance(named, dict):
            yield _finding(f"{path}.{key}", f"`{key}` must be an object of schemas, but this is {kind(named)}")
            continue
        yield from _examine_named(named, f"{path}.{key}")
    for key in LISTS_OF_SCHEMAS:
        if key not in schema:
            continue
        inner = schema[key]
        if not isinstance(inner, list) or not inner:
            yield _finding(f"{path}.{key}", f"`{key}` must be a list of at least one schema")
            continue
        for index in _not_plain(inner):
            yield from _examine_schema(inner[index], f"{path}.{key}[{index}]")
    for key in SCHEMAS:
        if key in schema:
            yield from _examine_schema(schema[key], f"{path}.{key}")


def _examine_named(named: dict[str, Any], path: str) -> Iterator[Finding]:
    schemas, names = list(named.values()), list(named)
    for index in _not_plain(schemas):
        yield from _examine_schema(schemas[index], f"{path}.{names[index][:64]}")


def _examine_type(schema: dict[str, Any], path: str) -> Iterator[Finding]:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    for name in types or [None]:
        if not isinstance(name, str) or name not in TYPES:
            shown = f"{name[:40]!r}" if isinstance(name, str) else kind(name)
            meant = (
                OTHER_NAMES.get(name.lower(), name.lower() if name.lower() in TYPES else "") if shown[0] == "'" else ""
            )
            hint = f"; JSON Schema calls it `{meant}`" if meant else ""
            yield _finding(f"{path}.type", f"the type {shown} is not one of JSON Schema{hint}")
    if "array" in types and "items" not in schema and "prefixItems" not in schema:
        yield _finding(path, "an array needs `items`, the schema of its elements")


def _examine_required(schema: dict[str, Any], path: str) -> Iterator[Finding]:
    required, properties = schema.get("required", []), schema.get("properties", {})
    if isinstance(properties, dict) and required == list(properties):
        return
    if not isinstance(required, list) or not {*map(type, required)} <= {str}:
        yield _finding(f"{path}.required", "`required` must be a list of names of properties")
        return
    names = set(required)
    if len(names) < len(required):
        yield _finding(f"{path}.required", "`required` names a property twice")
    if not isinstance(properties, dict) or names <= properties.keys():
        return
    for name in required:
        if name not in properties:
            yield _finding(f"{path}.required", f"`required` names {name[:64]!r}, which is not among `properties`")


def _examine_strict(schema: Any, path: str) -> Iterator[Finding]:
    """With `strict`, every property must be required and no other may be allowed, at each level."""
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    names = properties if isinstance(properties, dict) else {}
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            yield _finding(path, "`strict` needs `additionalProperties: false` in each object")
        required = schema.get("required", [])
        if isinstance(required, list) and required != list(names):
            given = {name for name in required if type(name) is str}
            missing = next((name for name in names if name not in given), None)
            if missing is not None:
                yield _finding(path, f"`strict` needs every property in `required`, but {missing[:64]!r} is not")
    schemas, ordered = list(names.values()), list(names)
    for index in _not_plain(schemas, PLAIN_WITHOUT_OBJECTS):
        yield from _examine_strict(schemas[index], f"{path}.properties.{ordered[index][:64]}")
    if "items" in schema:
        yield from _examine_strict(schema["items"], f"{path}.items")
