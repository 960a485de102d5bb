"""`tunery admin-key`, and what the commands say of scopes, rotations and last uses."""

import io

import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.archiving import archive_project
from shared.projects import callers
from shared.projects.callers import AdminCaller, Caller
from shared.projects.models import ApiKey
from tests.cli.terminal import Tunery
from tests.worker.support import change
from tests.world import Person


def who(secret: str) -> Caller | AdminCaller:
    with transaction() as session:
        return callers.identify(session, secret)


@pytest.mark.usefixtures("clean")
def test_an_admin_key_is_made_listed_rotated_and_revoked(tunery: Tunery) -> None:
    first = tunery("admin-key", "create", "--name", "audits", "--scope", "admin:audit_logs:read").out.strip()
    admin = who(first)
    assert isinstance(admin, AdminCaller)
    assert admin.scopes == {"admin:audit_logs:read"}
    assert " audits " in tunery("admin-key", "list").out
    assert " 203.0.113.0/24 " in tunery("admin-key", "update", admin.key_id, "--network", "203.0.113.0/24").out
    assert tunery("admin-key", "update", admin.key_id, "--network", "somewhere").code != 0
    second = tunery("admin-key", "rotate", admin.key_id, "--overlap-hours", "1")
    assert "its old secret is good until" in second.err
    assert [who(secret).key_id for secret in (first, second.out.strip())] == [admin.key_id] * 2
    assert tunery("admin-key", "revoke", admin.key_id).code == 0
    assert " revoked " in tunery("admin-key", "list").out
    assert tunery("admin-key", "rotate", admin.key_id).out == ""


@pytest.mark.usefixtures("as_admin")
def test_a_keys_scopes_and_its_last_use_are_listed(alice: Person, tunery: Tunery) -> None:
    made = tunery("key", "create", alice.project_id, "--scope", "jobs:read", "--scope", "files:read").out.strip()
    assert who(made).scopes == {"files:read", "jobs:read"}
    change(ApiKey, who(made).key_id, last_used_at=utc_now().replace(year=2026, month=1, day=2, hour=3, minute=4))
    [_, newest, oldest] = tunery("key", "list", alice.project_id).out.splitlines()
    assert newest.endswith("2026-01-02 03:04  anywhere  files:read jobs:read")
    assert oldest.endswith("never used        anywhere  all")


@pytest.mark.usefixtures("as_admin")
def test_an_unknown_scope_is_said_with_those_that_there_are(alice: Person, tunery: Tunery) -> None:
    said = tunery("key", "create", alice.project_id, "--scope", "job:read")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("scopes.0: Input should be")
    assert "jobs:read" in said.err


@pytest.mark.usefixtures("clean")
def test_an_unknown_admin_scope_is_refused_with_the_known_ones(tunery: Tunery) -> None:
    said = tunery("admin-key", "create", "--scope", "jobs:read")
    assert "No such scope: jobs:read" in str(said.code)
    assert "admin:audit_logs:read" in str(said.code)


@pytest.mark.usefixtures("as_admin")
def test_projects_are_listed_renamed_and_archived(alice: Person, bob: Person, tunery: Tunery) -> None:
    tunery("project", "update", alice.project_id, "--name", "renamed", "--weight", "2")
    assert tunery("project", "archive", bob.project_id, "--yes").code == 0
    titles, *rows = tunery("project", "list").out.splitlines()
    assert titles.split()[:3] == ["PROJECT", "STATE", "NAME"]
    assert [row.split()[:3] for row in rows] == [[alice.project_id, "active", "renamed"]]
    assert " archived " in tunery("project", "list", "--archived").out


@pytest.mark.usefixtures("as_admin")
def test_nothing_is_made_or_changed_in_an_archived_project_but_its_keys_are_revoked(
    alice: Person, tunery: Tunery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-hers"))
    account = ("--base-url", "https://api.openai.com/v1", "--key-file", "-")
    made = tunery("credential", "create", alice.project_id, *account).out.strip()
    key = tunery("key", "create", alice.project_id).err.split()[1]
    with transaction() as session:
        archive_project(session, alice.project_id)
    for command in (
        ("credential", "create", alice.project_id, *account),
        ("credential", "update", alice.project_id, made, "--name", "new"),
        ("rate-limit", "set", alice.project_id, "--open-jobs", "1"),
        ("limit", "set", alice.project_id, "500"),
        ("project", "update", alice.project_id, "--name", "new"),
        ("key", "create", alice.project_id),
        ("key", "rotate", key),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO("sk-hers"))
        assert " is archived: it can no longer be used or changed" in tunery(*command).err, command
    assert tunery("key", "revoke", key).code == 0
    assert tunery("credential", "delete", alice.project_id, made).code == 0
