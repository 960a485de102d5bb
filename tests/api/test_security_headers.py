"""What browsers and proxies are told: nothing is stored, guessed or embedded, and `/docs` runs its own scripts only."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from api.main import create_app
from tests.api.administration import Operator, operating
from tests.api.wire import send
from tests.world import Person

HOOK = {"name": "ci", "url": "https://hooks.example.com/", "event_types": ["fine_tuning.job.cancelled"]}
Headers = dict[str, str]


@pytest.fixture
def root(alice: Person) -> Iterator[Person]:
    root = Person(alice.base_url.removesuffix("/v1"), alice.api_key, alice.project_id)
    yield root
    root.close()


@pytest.fixture
def operator(clean: str) -> Iterator[Operator]:
    with operating(clean) as operator:
        yield operator


def holds_secret(model: Any, known: frozenset[Any] = frozenset()) -> bool:
    """Whether an answer of this type has a field that no representation shows, at any depth."""
    if isinstance(model, type) and issubclass(model, BaseModel) and model not in known:
        fields = model.model_fields.values()
        return any(not field.repr or holds_secret(field.annotation, known | {model}) for field in fields)
    return any(holds_secret(each, known) for each in get_args(model))


def routes_with_secrets() -> set[str]:
    found = set()
    for route in create_app().routes:
        for each in [*getattr(route, "effective_candidates", list)()] or [route]:
            if holds_secret(getattr(each, "response_model", None)):
                found.add(each.name)
    return found


def answers_with_secrets(alice: Person, operator: Operator) -> dict[str, Headers]:
    """Call each route that answers with a secret; return the headers by its name."""
    project, found = f"/projects/{alice.project_id}", {}

    def call(name: str, http: Any, path: str, body: dict[str, Any]) -> Any:
        answer = http.post(path, json=body).raise_for_status()
        found[name] = dict(answer.headers)
        return answer.json()

    account = call("create_service_account", operator.http, f"{project}/service_accounts", {"name": "ci"})
    of_account = f"{project}/service_accounts/{account['id']}/api_keys"
    call("create_service_account_api_key", operator.http, of_account, {})
    key = call("create_api_key", operator.http, f"{project}/api_keys", {})
    call("rotate_api_key_secret", operator.http, f"{project}/api_keys/{key['id']}/rotate_secret", {})
    admin_key = call("create_admin_api_key", operator.http, "/admin_api_keys", {"name": "second"})
    call("rotate_admin_api_key_secret", operator.http, f"/admin_api_keys/{admin_key['id']}/rotate_secret", {})
    hook = call("create_webhook_endpoint", alice.http, "/webhook_endpoints", HOOK)
    call("rotate_webhook_secret", alice.http, f"/webhook_endpoints/{hook['id']}/rotate_secret", {})
    return found


def test_no_answer_with_a_secret_is_stored_anywhere(alice: Person, operator: Operator) -> None:
    answers = answers_with_secrets(alice, operator)
    assert set(answers) == routes_with_secrets()
    for name, headers in answers.items():
        assert headers["cache-control"] == "no-store", name
        assert headers["x-content-type-options"] == "nosniff", name
        assert "default-src 'none'" in headers["content-security-policy"], name


def test_errors_and_lists_have_the_headers_too(alice: Person, root: Person) -> None:
    for answer in (
        send(alice, "GET", "/files"),
        send(alice, "GET", "/nothing"),
        send(alice, "GET", "/files", headers={"authorization": "Bearer wrong"}),
        send(root, "GET", "/livez"),
        send(root, "GET", "/openapi.json"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_the_docs_may_run_their_own_scripts_and_no_others(root: Person) -> None:
    page = send(root, "GET", "/docs")
    policy = dict(each.strip().partition(" ")[::2] for each in page.headers["content-security-policy"].split(";"))
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(inline) == 1
    digests = [f"'sha256-{b64encode(sha256(each.encode()).digest()).decode()}'" for each in inline]
    assert policy["script-src"].split() == ["'self'", *digests]
    assert policy["connect-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    sources = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(sources) == 3
    assert all(each.startswith("/static-offline-docs/") for each in sources), "all of them are 'self'"
    assert not re.search(r"""\son\w+=|javascript:""", page.text), "the policy lets no attribute run a script"


def test_the_files_of_the_docs_may_be_stored(root: Person) -> None:
    script = send(root, "GET", "/static-offline-docs/swagger-ui-bundle.js")
    assert script.headers["etag"]
    assert "cache-control" not in script.headers
    assert script.headers["x-content-type-options"] == "nosniff"
