"""The accounts of `up --trainer`: made once, at the provider's present address, and only where there are several."""

from typing import Any

import pytest
from sqlmodel import col, select

from cli.local.accounts import LocalAccount, keep_accounts
from shared.database import transaction
from shared.projects import credentials
from shared.projects.credentials import Account
from shared.projects.models import Credential
from tests.worker.support import settings
from tests.world import Person

pytestmark = pytest.mark.usefixtures("clean")


def account(name: str, port: int = 8791, key: str = "sk-of-this-machine") -> LocalAccount:
    dialect = "trainer" if name == "trainer" else "openai"
    return LocalAccount(name=name, base_url=f"http://127.0.0.1:{port}/v1", api_key=key, dialect=dialect)


def keep(kept: dict[str, Any], *accounts: LocalAccount) -> None:
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["127.0.0.0/8"]'), transaction() as session:
        keep_accounts(session, kept, accounts)


def addresses(person: Person) -> dict[str, str]:
    own = select(Credential).where(Credential.project_id == person.project_id, col(Credential.deleted_at).is_(None))
    with transaction() as session:
        return {row.name: row.base_url for row in session.exec(own)}


def test_two_are_made_once_and_follow_their_providers_to_other_ports(alice: Person) -> None:
    kept: dict[str, Any] = {"project_id": alice.project_id}
    keep(kept, account("trainer", 1), account("sandbox", 2))
    first = dict(kept["accounts"])
    keep(kept, account("trainer", 3), account("sandbox", 2))
    assert kept["accounts"] == first
    assert addresses(alice) == {"trainer": "http://127.0.0.1:3/v1", "sandbox": "http://127.0.0.1:2/v1"}


def test_a_key_that_was_made_anew_replaces_the_old_one(alice: Person) -> None:
    kept: dict[str, Any] = {"project_id": alice.project_id}
    keep(kept, account("trainer"), account("sandbox"))
    keep(kept, account("trainer", key="sk-made-anew"), account("sandbox"))
    with transaction() as session:
        rows = [credentials.get(session, alice.project_id, id) for id in kept["accounts"].values()]
        keys = [(Account.of(row).api_key(), row.key_version) for row in rows]
    assert keys == [("sk-made-anew", 2), ("sk-of-this-machine", 1)]


def test_one_alone_is_the_deployments_and_needs_no_account(alice: Person) -> None:
    kept: dict[str, Any] = {"project_id": alice.project_id}
    keep(kept, account("sandbox"))
    assert kept == {"project_id": alice.project_id}
    assert addresses(alice) == {}


def test_one_that_was_made_before_is_kept_up_to_date_when_the_other_does_not_run(alice: Person) -> None:
    kept: dict[str, Any] = {"project_id": alice.project_id}
    keep(kept, account("trainer", 1), account("sandbox", 2))
    keep(kept, account("sandbox", 4))
    assert addresses(alice) == {"trainer": "http://127.0.0.1:1/v1", "sandbox": "http://127.0.0.1:4/v1"}
