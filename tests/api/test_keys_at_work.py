"""Authentication by API key: checksum, scopes, headers and the record of its last use."""

from collections.abc import Collection

import pytest
from openai import APIStatusError, OpenAI

from api.auth import last_used
from api.auth.scopes import AdminScope, ProjectScope
from api.main import create_app
from shared.database import transaction
from shared.db.times import utc_now
from shared.projects import service as projects
from shared.projects.models import ApiKey, Project
from shared.projects.scopes import ADMIN_SCOPES, PROJECT_SCOPES
from shared.projects.secret_format import sha256
from tests.api.module_person import alice, module_person
from tests.api.wire import Answer, facts, send
from tests.test_tenancy import ADMINISTRATION
from tests.worker.support import change
from tests.world import Person, row

__all__ = ["alice"]

OPEN = {"/livez", "/readyz", "/openapi.json", "/docs", "/"}
OPEN_PAGES = {"/dashboard/sign-in", "/dashboard/enter", "/dashboard/sign-out", "/dashboard/static/{name:path}"}
OF_ANY_KEY = {"/dashboard/sign-in-links"}
SIGNED = {"/v1/provider_webhooks/{credential_id}"}  # nobody's key: what comes in is judged by its signature


def key_of(person: Person, scopes: Collection[str] = ()) -> tuple[ApiKey, str]:
    with transaction() as session:
        return projects.create_api_key(session, person.project_id, "another", scopes=scopes)


def ask(person: Person, secret: str, method: str = "GET", path: str = "/files", **headers: str) -> Answer:
    return send(
        person, method, path, b"{}" if method == "POST" else None, {"authorization": f"Bearer {secret}", **headers}
    )


def scopes_of_routes() -> dict[tuple[str, str], list[ProjectScope | AdminScope]]:
    """Return the declared scopes by method and path."""
    found = {}
    for route in create_app().routes:
        for each in [*getattr(route, "effective_candidates", list)()] or [route]:
            calls = _calls(getattr(each, "dependant", None))
            for method in getattr(each, "methods", None) or ():
                found[method, each.path] = [call for call in calls if isinstance(call, ProjectScope | AdminScope)]
    return found


def _calls(dependant: object) -> list[object]:
    below = [call for each in getattr(dependant, "dependencies", ()) for call in _calls(each)]
    return [getattr(dependant, "call", None), *below]


def test_every_route_declares_its_scope(server: str) -> None:
    declared = scopes_of_routes()
    assert len(declared) > 40
    assert {
        path for (_, path), scopes in declared.items() if len(scopes) != 1
    } == OPEN | OPEN_PAGES | OF_ANY_KEY | SIGNED
    asked = {scope.required(method) for (method, _), scopes in declared.items() for scope in scopes}
    assert asked - {*PROJECT_SCOPES, *ADMIN_SCOPES} == set(), "no key can have these"
    for_admins = {path for (_, path), scopes in declared.items() if scopes and isinstance(scopes[0], AdminScope)}
    of_the_api = {path for path in for_admins if not path.startswith("/dashboard/")}
    assert of_the_api == {path for _, path in declared if path.startswith(ADMINISTRATION)} | {"/metrics"}


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("files:read", "GET", "/files"),
        ("files:read", "GET", "/datasets"),
        ("files:write", "POST", "/uploads"),
        ("jobs:read", "GET", "/fine_tuning/jobs"),
        ("jobs:write", "POST", "/fine_tuning/jobs"),
        ("models:read", "GET", "/models"),
        ("models:write", "DELETE", "/models/ft:none"),
        ("webhooks:read", "GET", "/webhook_endpoints"),
        ("webhooks:write", "POST", "/webhook_endpoints"),
        ("webhooks:read", "GET", "/webhook_event_types"),
        ("inference", "POST", "/chat/completions"),
    ],
)
def test_a_key_can_do_only_what_its_scopes_allow(alice: Person, scope: str, method: str, path: str) -> None:
    others = {"files:read", "files:write", "jobs:read", "jobs:write", "webhooks:read", "inference"} - {scope}
    refused = ask(alice, key_of(alice, others)[1], method, path)
    assert (refused.status, refused.error["code"]) == (403, "insufficient_permissions")
    assert f"Missing scopes: {scope}." in refused.error["message"]
    assert ask(alice, key_of(alice, {scope})[1], method, path).status in {200, 400, 404}


def test_a_mistyped_key_gets_another_message_than_an_unknown_key(alice: Person) -> None:
    _, secret = key_of(alice)
    wrong, unknown = ask(alice, secret[:-1]), ask(alice, "sk-tun-" + "a" * 43)
    assert [each.error["code"] for each in (wrong, unknown)] == ["invalid_api_key"] * 2
    assert "its checksum is wrong" in wrong.error["message"]
    assert "is unknown" in unknown.error["message"]


def test_a_key_without_a_checksum_still_works(alice: Person) -> None:
    key, _ = key_of(alice)
    older = "sk-tun-" + "older_-key" * 4 + "abc"
    change(ApiKey, key.id, secret_sha256=sha256(older))
    assert ask(alice, older).status == 200


def test_a_header_that_names_another_project_or_organization_is_refused(alice: Person) -> None:
    for project, organization, code in [
        ("proj_other", None, "mismatched_project"),
        (alice.project_id, "org-other", "mismatched_organization"),
    ]:
        client = OpenAI(
            base_url=alice.base_url, api_key=alice.api_key, project=project, organization=organization, max_retries=0
        )
        with client, pytest.raises(APIStatusError) as refused:
            client.files.list()
        assert facts(refused.value)[:2] == (401, code)


def test_a_header_that_names_the_keys_own_project_is_accepted(alice: Person) -> None:
    with transaction() as session:
        organization_id = projects.the_organization(session).id
    client = OpenAI(
        base_url=alice.base_url, api_key=alice.api_key, project=alice.project_id, organization=organization_id
    )
    with client:
        assert client.files.list().data == []


def test_the_keys_of_an_archived_project_are_refused(alice: Person) -> None:
    with module_person(alice.base_url, "a team that was") as gone:
        change(Project, gone.project_id, archived_at=utc_now())
        answer = send(gone, "GET", "/files")
        assert (answer.status, answer.error["code"]) == (401, "project_archived")


def test_a_keys_last_use_is_recorded_after_the_request(alice: Person) -> None:
    key, secret = key_of(alice)
    assert ask(alice, secret).status == 200
    last_used.writer.submit(int).result()  # it stands behind
    assert row(ApiKey, key.id).last_used_at


def test_the_last_use_is_written_at_most_once_a_minute(alice: Person) -> None:
    key, _ = key_of(alice)
    last_used.write(key.id)
    first = row(ApiKey, key.id).last_used_at
    last_used.write(key.id)
    assert row(ApiKey, key.id).last_used_at == first
    change(ApiKey, key.id, last_used_at=first - last_used.WRITE_INTERVAL)
    last_used.write(key.id)
    assert row(ApiKey, key.id).last_used_at > first
