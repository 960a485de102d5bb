"""…/projects/{id}/api_keys and …/service_accounts, with the SDK's administration client."""

from datetime import timedelta
from typing import Any

import pytest
from openai import APIStatusError, AuthenticationError, NotFoundError, OpenAI

from shared.database import transaction
from shared.db.times import epoch, utc_now
from shared.projects import callers
from shared.projects import service as projects
from shared.projects.callers import Caller, Presented
from shared.projects.models import ApiKey
from tests.api.wire import facts
from tests.worker.support import change, ids
from tests.world import Person, row


def who(secret: str) -> Caller:
    """Identify the caller in the database, past the cache of the api."""
    with transaction() as session:
        return callers.authenticate(session, secret)


def is_refused(secret: str) -> bool:
    with transaction() as session:
        return callers.still_valid(session, [Presented(secret, "")], "files:read") == set()


def test_a_service_accounts_key_is_shown_once_and_acts_for_its_project(admin: OpenAI, alice: Person) -> None:
    accounts = admin.admin.organization.projects.service_accounts
    made = accounts.create(alice.project_id, name="ci", expires_in_seconds=3600)
    assert (made.name, made.role) == ("ci", "member")
    assert made.api_key
    assert who(made.api_key.value).project_id == alice.project_id
    assert made.api_key.expires_at == pytest.approx(epoch(utc_now()) + 3600, abs=30)
    shown = admin.admin.organization.projects.api_keys.retrieve(made.api_key.id, project_id=alice.project_id)
    assert made.api_key.value not in shown.to_json()
    assert shown.redacted_value.endswith(made.api_key.value[-4:])
    assert (shown.owner.type, shown.owner.service_account and shown.owner.service_account.id) == (
        "service_account",
        made.id,
    )


def test_a_service_account_can_be_created_without_a_key_and_get_scoped_keys_later(admin: OpenAI, alice: Person) -> None:
    accounts = admin.admin.organization.projects.service_accounts
    alone = accounts.create(alice.project_id, name="ci", create_service_account_only=True)
    assert (alone.role, alone.api_key) == ("none", None)
    key = accounts.api_keys.create(alone.id, project_id=alice.project_id, scopes=["jobs:read"])
    assert who(key.value).scopes == {"jobs:read"}
    assert accounts.retrieve(alone.id, project_id=alice.project_id).role == "member"


def test_service_accounts_are_listed_changed_and_deleted_with_their_keys(admin: OpenAI, alice: Person) -> None:
    accounts = admin.admin.organization.projects.service_accounts
    made = [accounts.create(alice.project_id, name=f"ci {number}") for number in range(3)]
    assert [each.id for each in accounts.list(alice.project_id, limit=2)] == [each.id for each in made[::-1]]
    assert accounts.update(made[0].id, project_id=alice.project_id, name="new").name == "new"
    assert accounts.delete(made[0].id, project_id=alice.project_id).deleted
    assert [is_refused(each.api_key.value) for each in made if each.api_key] == [True, False, False]
    with pytest.raises(NotFoundError):
        accounts.retrieve(made[0].id, project_id=alice.project_id)


def test_another_projects_keys_and_accounts_are_not_found(admin: OpenAI, alice: Person, bob: Person) -> None:
    accounts, keys = admin.admin.organization.projects.service_accounts, admin.admin.organization.projects.api_keys
    hers = accounts.create(alice.project_id, name="ci")
    assert hers.api_key
    for ask in (accounts.retrieve, accounts.delete, accounts.update, accounts.api_keys.create):
        with pytest.raises(NotFoundError):
            ask(hers.id, project_id=bob.project_id)
    for look in (keys.retrieve, keys.delete, keys.update):
        with pytest.raises(NotFoundError):
            look(hers.api_key.id, project_id=bob.project_id)
    assert who(hers.api_key.value)


def test_keys_are_listed_until_they_are_deleted(admin: OpenAI, alice: Person) -> None:
    keys = admin.admin.organization.projects.api_keys
    with transaction() as session:
        key, secret = projects.create_api_key(session, alice.project_id, "another")
    [newest, first] = keys.list(alice.project_id, limit=1)
    assert (newest.id, first.name, newest.owner.type) == (key.id, "test", None)
    assert keys.delete(key.id, project_id=alice.project_id).deleted
    assert is_refused(secret)
    assert [each.id for each in keys.list(alice.project_id, owner_project_access="active")] == [first.id]
    assert list(keys.list(alice.project_id, owner_project_access="inactive")) == []


def test_a_keys_scopes_and_expiry_are_changed(admin: OpenAI, alice: Person) -> None:
    keys = admin.admin.organization.projects.api_keys
    [key] = keys.list(alice.project_id)
    changed = keys.update(key.id, project_id=alice.project_id, scopes=["jobs:read"], expires_in_seconds=60)
    assert changed.expires_at == pytest.approx(epoch(utc_now()) + 60, abs=30)
    assert who(alice.api_key).scopes == {"jobs:read"}
    assert keys.update(key.id, project_id=alice.project_id, scopes=[]).expires_at == changed.expires_at
    assert who(alice.api_key).scopes == frozenset()
    with pytest.raises(APIStatusError) as refused:
        keys.update(key.id, project_id=alice.project_id, scopes=["admin:*"])
    assert (refused.value.status_code, refused.value.param) == (400, "scopes.0")


def test_an_expired_key_cannot_be_prolonged_or_rotated(admin: OpenAI, alice: Person) -> None:
    [key_id] = [id for id in ids(ApiKey) if row(ApiKey, id).project_id == alice.project_id]
    change(ApiKey, key_id, expires_at=utc_now())
    with pytest.raises(APIStatusError) as refused:
        admin.admin.organization.projects.api_keys.update(key_id, project_id=alice.project_id, expires_in_seconds=60)
    assert facts(refused.value) == (400, "api_key_expired", "key_id")


def test_after_a_rotation_the_old_secret_works_until_the_overlap_ends(admin: OpenAI, alice: Person) -> None:
    key_id = who(alice.api_key).key_id
    path = f"/organization/projects/{alice.project_id}/api_keys/{key_id}/rotate_secret"
    rotated = admin.post(path, cast_to=dict[str, object], body={"overlap_seconds": 60})
    new = str(rotated["value"])
    assert [who(secret).key_id for secret in (alice.api_key, new)] == [key_id, key_id]
    assert rotated["previous_valid_until"] == pytest.approx(epoch(utc_now()) + 60, abs=30)
    change(ApiKey, key_id, previous_until=utc_now() - timedelta(seconds=1))
    with transaction() as session:
        old_and_new = [Presented(each, "") for each in (alice.api_key, new)]
        assert callers.still_valid(session, old_and_new, "jobs:read") == {Presented(new, "")}


def test_a_rotation_without_overlap_ends_the_old_secret_at_once(admin: OpenAI, alice: Person) -> None:
    key_id = who(alice.api_key).key_id
    path = f"/organization/projects/{alice.project_id}/api_keys/{key_id}/rotate_secret"
    rotated = admin.post(path, cast_to=dict[str, object], body={"overlap_seconds": 0})
    assert is_refused(alice.api_key)
    assert who(str(rotated["value"])).key_id == key_id


def test_a_revoked_key_is_refused(admin: OpenAI, alice: Person) -> None:
    keys = admin.admin.organization.projects.api_keys
    made = admin.admin.organization.projects.service_accounts.create(alice.project_id, name="ci").api_key
    assert made
    keys.delete(made.id, project_id=alice.project_id)
    with OpenAI(base_url=alice.base_url, api_key=made.value) as late, pytest.raises(AuthenticationError):
        late.files.list()


def test_an_operator_makes_a_key_that_belongs_to_the_project_itself(admin: OpenAI, alice: Person) -> None:
    path = f"/organization/projects/{alice.project_id}/api_keys"
    body = {"name": "trainer", "scopes": ["jobs:write", "jobs:read"], "expires_in_seconds": 60}
    made: dict[str, Any] = admin.post(path, cast_to=dict[str, object], body=body)
    assert who(made["value"]).scopes == {"jobs:read", "jobs:write"}
    assert (made["name"], made["project_id"], made["owner"]["type"]) == ("trainer", alice.project_id, None)
    assert made["expires_at"] == pytest.approx(epoch(utc_now()) + 60, abs=30)
    shown = admin.admin.organization.projects.api_keys.retrieve(made["id"], project_id=alice.project_id)
    assert made["value"] not in shown.to_json()
    with pytest.raises(NotFoundError):
        admin.post("/organization/projects/proj_never/api_keys", cast_to=object, body={})


def test_revoked_keys_are_listed_only_on_request(admin: OpenAI, alice: Person) -> None:
    keys = admin.admin.organization.projects.api_keys
    [key] = keys.list(alice.project_id)
    keys.delete(key.id, project_id=alice.project_id)
    assert list(keys.list(alice.project_id)) == []
    [revoked] = keys.list(alice.project_id, extra_query={"include_revoked": True})
    assert (revoked.id, revoked.to_dict()["revoked_at"]) == (key.id, pytest.approx(epoch(utc_now()), abs=30))


def test_a_key_is_found_by_its_id_alone_also_when_it_is_revoked(admin: OpenAI, alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        key_id = who(person.api_key).key_id
        path = f"/organization/api_keys/{key_id}"
        found: dict[str, Any] = admin.get(path, cast_to=dict[str, object])
        assert (found["id"], found["project_id"], found["revoked_at"]) == (key_id, person.project_id, None)
        admin.admin.organization.projects.api_keys.delete(key_id, project_id=person.project_id)
        assert admin.get(path, cast_to=dict[str, object])["revoked_at"]
        assert person.api_key not in str(found)
    [admin_key] = admin.admin.organization.admin_api_keys.list()
    for other in ("key_never", admin_key.id):
        with pytest.raises(NotFoundError):
            admin.get(f"/organization/api_keys/{other}", cast_to=object)
