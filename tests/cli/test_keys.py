"""`tunery key`: a project's keys, with the secret on stdout once, and nothing but hints afterwards."""

import pytest

from shared.database import transaction
from shared.db.times import utc_now
from shared.errors import Unauthorized
from shared.projects import callers
from shared.projects.keys import page_of_keys
from shared.projects.models import ApiKey
from tests.cli.terminal import Tunery
from tests.worker.support import change
from tests.world import Person

pytestmark = pytest.mark.usefixtures("as_admin")


def whose(secret: str) -> str:
    with transaction() as session:
        return callers.authenticate(session, secret).project_id


def newest(project_id: str) -> ApiKey:
    with transaction() as session:
        return page_of_keys(session, project_id, after=None, limit=1, include_revoked=True)[0]


def test_a_new_keys_secret_is_the_only_thing_on_stdout_and_works(alice: Person, tunery: Tunery) -> None:
    said = tunery("key", "create", alice.project_id, "--name", "ci")
    assert (said.code, whose(said.out.strip())) == (0, alice.project_id)
    key = newest(alice.project_id)
    assert (key.name, key.expires_at) == ("ci", None)
    assert f"Key {key.id} ({key.hint}, never expires) is created." in said.err
    assert said.out.strip() not in said.err


def test_a_key_expires_after_the_days_that_were_said(alice: Person, tunery: Tunery) -> None:
    said = tunery("key", "create", alice.project_id, "--expires-in-days", "90")
    key = newest(alice.project_id)
    assert key.expires_at
    assert (key.expires_at - key.created_at).days in (89, 90)
    assert f"until {key.expires_at:%Y-%m-%d}" in said.err
    change(ApiKey, key.id, expires_at=utc_now())
    with pytest.raises(Unauthorized):
        whose(said.out.strip())
    assert tunery("key", "list", alice.project_id).out.splitlines()[1].split()[:2] == [key.id, "expired"]


def test_a_projects_keys_are_listed_without_their_secrets(alice: Person, bob: Person, tunery: Tunery) -> None:
    tunery("key", "create", alice.project_id, "--name", "ci")
    titles, *rows = tunery("key", "list", alice.project_id).out.splitlines()
    assert titles.split() == ["KEY", "STATE", "NAME", "HINT", "CREATED", "EXPIRES", "LAST", "USED", "FROM", "SCOPES"]
    assert [row.split()[1:3] for row in rows] == [["active", "ci"], ["active", "test"]]
    assert alice.api_key not in "".join(rows)


def test_a_key_is_bound_to_networks_and_set_free(alice: Person, tunery: Tunery) -> None:
    assert tunery("key", "create", alice.project_id, "--network", "::ffff:203.0.113.0/120").code == 0
    key = newest(alice.project_id)
    assert key.allowed_networks == ["203.0.113.0/24"]
    said = tunery("key", "update", key.id, "--network", "2001:db8::/32", "--network", "198.51.100.7")
    assert (said.code, newest(alice.project_id).allowed_networks) == (0, ["198.51.100.7/32", "2001:db8::/32"])
    assert "198.51.100.7/32 2001:db8::/32" in said.out
    assert tunery("key", "update", key.id, "--network", "10.0.0.1/8").code != 0
    assert tunery("key", "update", key.id).code != 0
    assert tunery("key", "update", key.id, "--from-anywhere").code == 0
    assert newest(alice.project_id).allowed_networks == []


def test_a_revoked_key_is_refused(alice: Person, tunery: Tunery) -> None:
    key = newest(alice.project_id)
    assert tunery("key", "revoke", key.id).code == 0
    with pytest.raises(Unauthorized):
        whose(alice.api_key)
    revoked_at = newest(alice.project_id).revoked_at
    assert tunery("key", "revoke", key.id).code == 0
    assert newest(alice.project_id).revoked_at == revoked_at
    assert " revoked " in tunery("key", "list", alice.project_id).out


@pytest.mark.parametrize("command", [("create", "proj_never"), ("list", "proj_never"), ("revoke", "key_never")])
def test_what_never_was_is_said_in_a_sentence(tunery: Tunery, command: tuple[str, str]) -> None:
    said = tunery("key", *command)
    assert (said.code, said.out, said.err) == (1, "", "No such {}: {}.\n".format(*_called(command[1])))


def _called(id: str) -> tuple[str, str]:
    return ("API key" if id.startswith("key_") else "project", id)
