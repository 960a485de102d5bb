"""/v1/organization/projects, with an admin key."""

from collections.abc import Iterator

import pytest
from openai import NotFoundError, OpenAI, PermissionDeniedError

from shared.database import transaction
from shared.projects import service as projects
from tests.world import Person


@pytest.fixture
def admin(clean: str) -> Iterator[OpenAI]:
    """The operator, with the SDK's own administration client."""
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    with OpenAI(
        base_url=clean, api_key="", admin_api_key=secret, max_retries=0, _strict_response_validation=True
    ) as admin:
        yield admin


def test_an_admin_makes_projects_and_finds_them_again(admin: OpenAI) -> None:
    made = [admin.admin.organization.projects.create(name=f"team {number}") for number in range(3)]
    assert admin.admin.organization.projects.retrieve(made[0].id).name == "team 0"
    assert [each.id for each in admin.admin.organization.projects.list(limit=2)] == [each.id for each in made[::-1]]


def test_an_unknown_project_is_not_found(admin: OpenAI) -> None:
    with pytest.raises(NotFoundError):
        admin.admin.organization.projects.retrieve("proj_none")


def test_a_projects_key_cannot_manage_projects(alice: Person) -> None:
    answer = alice.http.get("/organization/projects")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_permissions")


def test_an_admin_key_cannot_act_for_a_project(admin: OpenAI, clean: str) -> None:
    with (
        OpenAI(base_url=clean, api_key=admin.admin_api_key, max_retries=0) as client,
        pytest.raises(PermissionDeniedError),
    ):
        client.files.list()
