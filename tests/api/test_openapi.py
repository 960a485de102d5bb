"""GET /openapi.json and /docs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.version import VERSION
from shared.webhooks.event_types import EventType
from tests.api.test_health import ask

SIGNED = {"/v1/provider_webhooks/{credential_id}"}  # instead of a key
SIGNED_WITH = {"webhook-id", "webhook-timestamp", "webhook-signature"}
METHODS = {"get", "post", "put", "patch", "delete"}
KEYWORDS_OF_3_1 = {"openapi", "info", "paths", "components", "tags", "servers", "security", "webhooks", "externalDocs"}


@pytest.fixture
def document(server: str) -> dict[str, Any]:
    answer: dict[str, Any] = ask(server, "/openapi.json").json
    return answer


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def everything(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in the document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from everything(inner)


def test_the_document_carries_the_version(document: dict[str, Any]) -> None:
    assert document["info"]["version"] == VERSION


def test_the_document_is_openapi_3_1_without_newer_keywords(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document.keys() <= KEYWORDS_OF_3_1
    assert document["info"]["title"]
    assert all(method in METHODS for _, method, _ in operations(document))


def test_every_reference_has_a_target(document: dict[str, Any]) -> None:
    references = [each["$ref"] for each in everything(document) if isinstance(each.get("$ref"), str)]
    assert references
    for reference in references:
        found = document
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_every_schema_is_used(document: dict[str, Any]) -> None:
    used = {each["$ref"].rsplit("/", 1)[-1] for each in everything(document) if isinstance(each.get("$ref"), str)}
    assert document["components"]["schemas"].keys() == used


def test_every_operation_has_a_name_a_sentence_and_its_parameters(document: dict[str, Any]) -> None:
    found = list(operations(document))
    assert len({operation["operationId"] for *_, operation in found}) == len(found) > 20
    for path, method, operation in found:
        assert operation["description"].strip(), f"{method} {path}"
        named = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), f"{method} {path}"
        assert all(each["required"] for each in operation.get("parameters", []) if each["in"] == "path")


def test_every_operation_needs_a_key(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for path, method, operation in operations(document):
        if path not in SIGNED:
            assert operation["security"], f"{method} {path}"
            assert all(name in schemes for each in operation["security"] for name in each)


def test_every_error_is_the_envelope_and_none_is_422(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert "422" not in operation["responses"], f"{method} {path}"
        assert {"200", "400", "401", "404", "413", "500"} <= operation["responses"].keys(), f"{method} {path}"
        for status, answer in operation["responses"].items():
            assert answer["description"]
            if status >= "400":
                reference = answer["content"]["application/json"]["schema"]["$ref"]
                assert reference == "#/components/schemas/ErrorEnvelope"


def unbounded(schema: dict[str, Any], document: dict[str, Any], where: str) -> Iterator[str]:
    """Yield strings without a maximal length and integers without bounds."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    bounds = {
        "string": {"maxLength", "enum", "const", "pattern", "format"},
        "integer": {"maximum", "exclusiveMaximum", "enum"},
    }
    if schema.get("type") in bounds and bounds[schema["type"]].isdisjoint(schema):
        yield where
    inner = [(where, each) for name in ("anyOf", "oneOf", "allOf") for each in schema.get(name, [])]
    inner += [(f"{where}.{name}", each) for name, each in schema.get("properties", {}).items()]
    inner += [(f"{where}[]", schema[name]) for name in ("items", "additionalProperties") if name in schema]
    for place, each in inner:
        if isinstance(each, dict):
            yield from unbounded(each, document, place)


def test_every_text_and_every_whole_number_of_a_request_has_a_bound(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        asked = [each["schema"] for each in operation.get("parameters", []) if each["in"] != "path"]
        asked += [each["schema"] for each in operation.get("requestBody", {}).get("content", {}).values()]
        for schema in asked:
            assert list(unbounded(schema, document, f"{method} {path}")) == []


def test_every_event_is_described_and_no_other(document: dict[str, Any]) -> None:
    assert document["webhooks"].keys() == set(EventType)
    for type, item in document["webhooks"].items():
        operation = item["post"]
        assert operation["description"].strip(), type
        assert {each["name"] for each in operation["parameters"]} == SIGNED_WITH
        assert operation["responses"].keys() == {"2XX", "410", "default"}


@pytest.mark.parametrize("type", EventType)
def test_an_events_example_has_the_fields_of_its_schema(document: dict[str, Any], type: EventType) -> None:
    body = document["webhooks"][type]["post"]["requestBody"]["content"]["application/json"]
    payload, data = body["schema"], body["schema"]["properties"]["data"]
    if "$ref" in data:
        data = document["components"]["schemas"][data["$ref"].rsplit("/", 1)[-1]]
    assert payload["properties"]["type"]["const"] == body["example"]["type"] == type
    assert payload["properties"].keys() == body["example"].keys()
    assert set(data["required"]) <= body["example"]["data"].keys() <= data["properties"].keys()
    assert (data["properties"].keys() == {"id"}) == type.is_thin


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_docs_load_nothing_from_other_hosts(server: str, path: str) -> None:
    answer = ask(server, path)
    assert answer.status == 200
    assert re.findall(r"""(?:src|href|url)\s*[=:(]\s*["']?(?:https?:)?//[^"'\s>]+""", answer.text) == []


def test_the_docs_find_their_scripts_on_this_server(server: str) -> None:
    needed = re.findall(r"""(?:src|href)=["']([^"']+)["']""", ask(server, "/docs").text)
    assert len(needed) >= 2
    for address in needed:
        answer = ask(server, address)
        assert (answer.status, bool(answer.body)) == (200, True), address
    [document] = re.findall(r"""url: ["']([^"']+)["']""", ask(server, "/docs").text)
    assert ask(server, document).status == 200


def test_there_is_no_second_documentation(server: str) -> None:
    assert ask(server, "/redoc").status == 404
