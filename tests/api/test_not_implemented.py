"""Endpoints of OpenAI's administration API that Tunery does not have are answered with 501, in OpenAI's envelope."""

import re
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import APIStatusError, OpenAI

from api.main import create_app
from api.routes.organization.not_implemented import PATHS, refuse
from shared.database import transaction
from shared.projects import service as projects
from tests.api.wire import facts, send
from tests.world import Person, empty_tables

RESOURCES = Path(openai.__file__).parent / "resources" / "admin"
CALL = re.compile(r'self\._(get|post|delete|get_api_list)\(\s*(?:path_template\(\s*)?"(/[^"]+)"')
METHODS = {"get": "GET", "get_api_list": "GET", "post": "POST", "delete": "DELETE"}


def calls() -> set[tuple[str, str]]:
    """Return every method and path that the SDK's administration client can call."""
    texts = [path.read_text() for path in sorted(RESOURCES.rglob("*.py"))]
    return {(METHODS[verb], path) for text in texts for verb, path in CALL.findall(text)}


@pytest.fixture(scope="module")
def operator(server: str) -> Iterator[Person]:
    with transaction() as session:
        secret = projects.create_api_key(session, None, "operator")[1]
    operator = Person(server, secret, "")
    yield operator
    operator.close()
    empty_tables()


def test_every_administrative_call_of_the_sdk_is_answered_in_openais_envelope(operator: Person) -> None:
    assert len(calls()) > 100
    for method, path in sorted(calls()):
        answer = send(operator, method, re.sub(r"\{.*?\}", "proj_none", path), b"{}" if method == "POST" else None)
        assert answer.status in {200, 400, 404, 501}, f"{method} {path}"
        assert answer.status == 200 or answer.error["code"] != "unknown_url", f"{method} {path}"
        assert answer.status != 501 or answer.error["code"] == "not_implemented"


def test_the_sdk_does_not_retry_a_501(clean: str, operator: Person) -> None:
    client = OpenAI(base_url=clean, api_key="", admin_api_key=operator.api_key)
    with client, pytest.raises(APIStatusError) as refused:
        client.admin.organization.users.list()
    assert facts(refused.value) == (501, "not_implemented", None)
    assert refused.value.response.headers["x-should-retry"] == "false"


def test_no_existing_route_is_listed_as_not_implemented() -> None:
    there = {
        each.path
        for route in create_app().routes
        for each in getattr(route, "effective_candidates", list)()
        if each.endpoint is not refuse
    }
    assert len(there) > 40
    assert [path for path in there if path.startswith(PATHS)] == []
