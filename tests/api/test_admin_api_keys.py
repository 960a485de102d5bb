"""/v1/organization/admin_api_keys: the keys that administer the deployment."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openai import APIStatusError, OpenAI

from shared.database import transaction
from shared.projects import callers
from shared.projects.keys import page_of_keys
from tests.api.wire import facts


def with_scopes(admin: OpenAI, *scopes: str) -> OpenAI:
    """Return a client with a new admin key that has only these scopes."""
    made = admin.admin.organization.admin_api_keys.create(name="limited", extra_body={"scopes": scopes})
    return admin.with_options(admin_api_key=made.value)


def own_id(admin: OpenAI) -> str:
    with transaction() as session:
        return callers.identify(session, admin.admin_api_key or "").key_id


def create(admin: OpenAI, scopes: Sequence[str]) -> Any:
    return admin.admin.organization.admin_api_keys.create(name="new", extra_body={"scopes": scopes})


def test_an_admin_keys_secret_is_shown_once_and_it_can_administer(admin: OpenAI) -> None:
    keys = admin.admin.organization.admin_api_keys
    made = keys.create(name="second", expires_in_seconds=3600)
    assert list(admin.with_options(admin_api_key=made.value).admin.organization.projects.list()) == []
    shown = keys.retrieve(made.id)
    assert made.value not in shown.to_json()
    assert (shown.name, shown.expires_at, shown.redacted_value[-4:]) == ("second", made.expires_at, made.value[-4:])


def test_admin_keys_are_listed_in_either_order(admin: OpenAI) -> None:
    keys = admin.admin.organization.admin_api_keys
    made = [own_id(admin), *(keys.create(name=f"admin {number}").id for number in range(2))]
    assert [each.id for each in keys.list(limit=1)] == made
    assert [each.id for each in keys.list(limit=2, order="desc")] == made[::-1]


def test_the_last_admin_key_with_all_scopes_cannot_be_deleted(admin: OpenAI) -> None:
    keys = admin.admin.organization.admin_api_keys
    create(admin, ["admin:projects:write"])
    with pytest.raises(APIStatusError) as refused:
        keys.delete(own_id(admin))
    assert facts(refused.value) == (400, "last_admin_key", "key_id")
    other = keys.create(name="second")
    assert keys.delete(own_id(admin)).deleted
    with transaction() as session:
        assert callers.identify(session, other.value)


def test_an_admin_key_can_do_only_what_its_scopes_allow(admin: OpenAI) -> None:
    reader = with_scopes(admin, "admin:projects:read")
    assert list(reader.admin.organization.projects.list()) == []
    for refuse in (
        lambda: reader.admin.organization.projects.create(name="team"),
        lambda: reader.admin.organization.admin_api_keys.list(),
    ):
        with pytest.raises(APIStatusError) as refused:
            refuse()
        assert facts(refused.value)[:2] == (403, "insufficient_permissions")
        assert "Missing scopes: admin:" in refused.value.message


@pytest.mark.parametrize("wanted", [[], ["admin:*"], ["admin:admin_api_keys:write", "admin:projects:read"]])
def test_an_admin_key_cannot_create_one_with_more_scopes(admin: OpenAI, wanted: list[str]) -> None:
    limited = with_scopes(admin, "admin:admin_api_keys:write")
    with pytest.raises(APIStatusError) as refused:
        create(limited, wanted)
    assert facts(refused.value) == (403, "insufficient_permissions", "scopes")
    assert create(limited, ["admin:admin_api_keys:write"])


def test_an_admin_key_cannot_rotate_or_delete_one_with_more_scopes(admin: OpenAI) -> None:
    limited = with_scopes(admin, "admin:admin_api_keys:write")
    path = f"/organization/admin_api_keys/{own_id(admin)}/rotate_secret"
    with pytest.raises(APIStatusError) as refused:
        limited.post(path, cast_to=dict[str, object])
    assert refused.value.status_code == 403
    assert admin.post(path, cast_to=dict[str, object])["value"]


def test_an_unknown_scope_is_refused(admin: OpenAI) -> None:
    with pytest.raises(APIStatusError) as refused:
        create(admin, ["admin:everything"])
    assert (refused.value.status_code, refused.value.param) == (400, "scopes.0")


def test_two_admin_keys_that_delete_each_other_concurrently_leave_one(admin: OpenAI) -> None:
    made = admin.admin.organization.admin_api_keys.create(name="second")
    pairs = [(admin, made.id), (admin.with_options(admin_api_key=made.value), own_id(admin))]
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(client.admin.organization.admin_api_keys.delete, id) for client, id in pairs]
    assert [facts(error)[1] for each in done if isinstance(error := each.exception(), APIStatusError)] in (
        ["last_admin_key"],
        ["invalid_api_key"],
    )
    with transaction() as session:
        assert len(page_of_keys(session, None, after=None, limit=5)) == 1
