"""An account that all projects share holds models of each of them: none but its own project may train from one."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from shared.database import transaction
from shared.errors import NotFound
from shared.jobs import tuned_models
from shared.jobs.models import TunedModel
from shared.projects.models import Credential
from tests.api.accounts import admin, give
from tests.api.training import model_of, train
from tests.worker.support import change, settings
from tests.world import Person, Sandbox

__all__ = ["admin"]

NAME = "accounts/acme/models/bot-1"
MARKED = "accounts/acme/models/bot-ftjob-01m8aaaaaaaaaaaaaaaaaaaaaa"
BASE = "accounts/fireworks/models/qwen3-8b"
SPELLINGS = {
    "as it is": "{name}",
    "in capitals": "ACCOUNTS/acme/MODELS/{id}",
    "an address": "https://api.fireworks.ai/{name}",
    "another account before": "accounts/fireworks/models/x/../../../../{name}",
    "a deployment of it": "{name}#accounts/acme/deployments/dep-1",
    "a deployment of nothing": "{name}#",
    "a revision": "{name}@1",
    "a version": "{name}/versions/1",
    "a part": "models/{id}",
    "its id": "{id}",
    "a slash after": "{name}/",
    "a deployed model": "accounts/acme/deployedModels/{id}",
    "a deployment": "accounts/acme/deployments/dep-1",
    "behind a base": BASE + "#{name}",
    "of two": BASE + ",{name}",
    "of two others": BASE + "={name}",
}


@pytest.fixture
def shared_account(alice: Person) -> Iterator[None]:
    """The operator's account at Fireworks, whose models are not known yet."""
    url = "http://127.0.0.1:1/v1/accounts/acme"
    with settings(TUNERY_PROVIDER__BASE_URL=url, TUNERY_PROVIDER__DIALECT="fireworks"):
        yield


def account_for(person: Person, name: str) -> str | None:
    """That for a job on this model; None if there is no such model for the project."""
    with transaction(person.project_id) as session:
        try:
            return tuned_models.account_to_tune(session, person.project_id, name).id
        except NotFound:
            return None


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_in_the_operators_account_is_not_found(shared_account: None, bob: Person, spelling: str) -> None:
    for name in (NAME, MARKED):
        spelled = SPELLINGS[spelling].format(name=name, id=name.rpartition("/")[2])
        assert account_for(bob, spelled) is None
        with transaction(bob.project_id) as session, pytest.raises(NotFound):
            tuned_models.account_to_call(session, bob.project_id, spelled)


def test_a_model_of_the_provider_is_trained_before_the_list_is_known(shared_account: None, bob: Person) -> None:
    assert account_for(bob, BASE)


def test_a_base_of_the_account_itself_is_trained_if_it_is_listed(shared_account: None, bob: Person) -> None:
    account = account_for(bob, BASE)
    assert account
    listed = [{"id": NAME, "created": 1, "owned_by": "", "shutdown_date": None}]
    change(Credential, account, base_models=listed)
    assert account_for(bob, NAME) == account
    assert account_for(bob, f"{NAME}-2") is None


JOINED = [
    "{name}#accounts/acme/deployments/dep-1",
    "{name}#",
    "{name}@1",
    "{name}/versions/1",
    "base,{name}",
    "base#{name}",
]


@pytest.mark.parametrize("spelling", JOINED)
def test_a_name_joined_with_more_is_anothers_at_an_account_of_ones_own_too(
    admin: httpx2.Client, alice: Person, bob: Person, sandbox: Sandbox, spelling: str
) -> None:
    """Accounts of two projects may be one at the provider."""
    rename(model_of(train(alice, sandbox)), NAME)
    give(admin, bob, sandbox, meet=False)
    assert account_for(bob, spelling.format(name=NAME)) is None
    assert account_for(alice, NAME)
    assert account_for(bob, "accounts/acme/models/bot-2")


def rename(name: str, new: str) -> None:
    with transaction() as session:
        session.exec(select(TunedModel).where(TunedModel.name == name)).one().name = new


MARKS: list[Any] = [
    "bot-ftjob-1",
    MARKED,
    "ft-0d1e2f3a-1111-2222-3333-444455556666",
    "ft-0d1e2f3a-1111-2222-3333-444455556666:120",
    "acme/Qwen3-8B-tutor-01m8aaaaaaaaaaaaaaaaaaaaaa-9f8e7d6c",
]


@pytest.mark.parametrize("name", MARKS)
def test_a_name_with_the_mark_of_a_job_is_no_base(
    admin: httpx2.Client, bob: Person, sandbox: Sandbox, name: str
) -> None:
    give(admin, bob, sandbox, meet=False)
    assert account_for(bob, name) is None
