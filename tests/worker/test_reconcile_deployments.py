"""Reconciliation of deployments: those that a restored database has forgotten are adopted or stopped, and no others."""

from typing import Any

import pytest

from shared.deployments.models import Deployment
from shared.projects.models import Credential
from tests.api.accounts import admin as admin
from tests.deployed import World
from tests.deployed import deploying_sandbox as deploying_sandbox
from tests.deployed import world as world
from tests.worker.support import change
from tests.world import row, step
from worker.accounts import reconcile
from worker.accounts.findings import Action
from worker.providers.errors import ProviderError

UNKNOWN = "dep_01m8zzzzzzzzzzzzzzzzzzzzzz"


def reconciled(world: World, **options: Any) -> list[Action]:
    account = row(Credential, world.credential_id)
    found = reconcile.find(account, **options)
    reconcile.carry_out(account, found)
    return [each.action for each in found if each.ours.startswith("dep_")]


def there(world: World) -> list[str]:
    return [each["id"] for each in world.running()]


def of_another(world: World) -> None:
    """A deployment that no row knows."""
    world.sandbox.http.post("/v1/deployments", json={"name": UNKNOWN, "model": world.model}).raise_for_status()


def test_one_that_its_row_has_forgotten_is_adopted_and_billed_since_it_was_made(world: World) -> None:
    id = world.starting()
    at = row(Deployment, id).provider_deployment_id
    change(Deployment, id, status="requested", provider_deployment_id=None, billed_until=None)
    assert reconciled(world, restored=True) == [Action.ADOPT]
    step(Deployment, id)
    found = row(Deployment, id)
    assert (found.provider_deployment_id, found.status) == (at, "starting")
    assert found.billed_until is not None
    assert there(world) == [at]
    assert reconciled(world, restored=True) == []


def test_one_that_the_database_does_not_know_is_stopped_only_with_the_option_restored(world: World) -> None:
    kept = row(Deployment, world.starting()).provider_deployment_id
    of_another(world)
    assert reconciled(world) == [Action.LEAVE]
    assert len(there(world)) == 2
    assert reconciled(world, restored=True) == [Action.STOP]
    assert there(world) == [kept]


def test_one_whose_row_has_ended_is_stopped(world: World) -> None:
    change(Deployment, world.starting(), status="stopped", due_at=None)
    assert reconciled(world) == [Action.STOP]
    assert there(world) == []


def test_a_second_one_of_a_row_is_stopped(world: World) -> None:
    id = world.starting()
    kept = row(Deployment, id).provider_deployment_id
    world.sandbox.http.post("/v1/deployments", json={"name": id, "model": world.model}).raise_for_status()
    assert reconciled(world) == [Action.STOP]
    assert there(world) == [kept]


@pytest.mark.parametrize("status", ["starting", "stopping"])
def test_one_that_its_own_step_will_find_or_end_is_not_touched(world: World, status: str) -> None:
    id = world.asked()
    world.sandbox.arm("POST", "/v1/deployments", drop="after")
    step(Deployment, id)
    assert row(Deployment, id).create_pending_at is not None
    change(Deployment, id, status=status)
    assert reconciled(world, restored=True) == []
    assert len(there(world)) == 1


def test_a_list_that_is_refused_says_so_and_changes_nothing(world: World) -> None:
    world.starting()
    world.sandbox.arm("GET", "/v1/deployments", status=403)
    with pytest.raises(ProviderError):
        reconcile.find(row(Credential, world.credential_id), restored=True)
    assert len(there(world)) == 1
