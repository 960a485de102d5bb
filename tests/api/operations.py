"""Every operation of the OpenAPI document, with a valid example request for each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "/v1"
ADMINISTRATION = "/organization"


@dataclass(frozen=True)
class Operation:
    """`path` is below /v1, with parameters in braces; `body` is valid JSON for the schema, or None."""

    method: str
    path: str
    in_path: tuple[str, ...]
    in_query: tuple[str, ...]
    in_header: tuple[str, ...]
    body: Any = field(hash=False)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_for_admins(self) -> bool:
        return self.path.startswith(ADMINISTRATION)

    def address(self, ids: Mapping[str, str]) -> str:
        """Return the path with these ids, and `x` for parameters without one."""
        return re.sub(r"{(\w+)}", lambda found: ids.get(found[1], "x"), self.path)


def operations(document: Mapping[str, Any]) -> list[Operation]:
    return [
        Operation(
            method.upper(),
            path.removeprefix(PREFIX),
            _names(operation, "path"),
            _names(operation, "query"),
            _names(operation, "header"),
            _body(operation, document),
        )
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def _names(operation: Mapping[str, Any], place: str) -> tuple[str, ...]:
    return tuple(each["name"] for each in operation.get("parameters", []) if each["in"] == place)


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    return example(content["application/json"]["schema"], document) if "application/json" in content else None


def example(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """Return a value that fits a schema, with all optional fields."""
    if "$ref" in schema:
        return example(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], document)
    for known in ("const", "example", "default"):
        if schema.get(known) is not None:
            return schema[known]
    if "enum" in schema:
        return schema["enum"][0]
    for either in _alternatives(schema):
        return example(either, document)
    return _plain(schema, document)


def _alternatives(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]:
        if each.get("type") != "null":
            yield each


def _plain(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object" if "properties" in schema:
            return {name: example(inner, document) for name, inner in schema["properties"].items()}
        case "object" | None:
            return {"k": "v"}
        case "array":
            return [example(schema.get("items", {"type": "string"}), document)]
        case "string":
            return "x" * max(1, schema.get("minLength", 1))
        case "integer" | "number":
            return max(1, schema.get("minimum", 1))
        case "boolean":
            return False
    return None
