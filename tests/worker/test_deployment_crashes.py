"""Workers of deployments that are killed (`kill -9`) between any two lines that matter: nothing is lost or doubled."""

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlmodel import select

from shared.budgets.models import LedgerEntry
from shared.database import transaction
from shared.deployments.models import Deployment
from shared.projects.models import Credential
from tests.api.accounts import admin as admin
from tests.deployed import World, pass_grace
from tests.deployed import deploying_sandbox as deploying_sandbox
from tests.deployed import world as world
from tests.worker.crashes import DEPLOYS, FAULTS, MOST_CRASHES, POINTS, Crashes
from tests.worker.deployment_kills import CALL, STOP, check, go_on, stop
from tests.worker.support import change, settings
from tests.world import row, step


@pytest.fixture(scope="module")
def crashes(server: str) -> Iterator[Crashes]:
    patch = pytest.MonkeyPatch()
    patch.setenv(DEPLOYS, "yes")
    with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR='{"azure": "2.50"}'), Crashes.ready() as crashes:
        patch.undo()
        yield crashes


@pytest.fixture
def priced(world: World) -> Iterator[World]:
    with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR='{"azure": "2.50"}', TUNERY_MAX_STEP_FAILURES=MOST_CRASHES):
        yield world


@pytest.mark.parametrize("point", [*CALL, "before the end"])
def test_one_is_created_once_at_whatever_point_its_worker_is_killed(
    priced: World, crashes: Crashes, point: str
) -> None:
    id = priced.asked()
    crashes.crash(Deployment, id, point)
    assert len(priced.running()) <= 1
    go_on(priced, id, "ready")
    assert [each["id"] for each in priced.running()] == [row(Deployment, id).provider_deployment_id]
    stop(priced, id)
    check(priced, id)


def test_one_is_found_though_workers_are_killed_while_they_search(priced: World, crashes: Crashes) -> None:
    id = priced.asked()
    crashes.crash(Deployment, id, "during the call")
    for point in CALL:
        pass_grace(id)
        crashes.crash(Deployment, id, point)
        assert len(priced.running()) == 1
        if row(Deployment, id).provider_deployment_id is not None:
            break
    go_on(priced, id, "ready")
    stop(priced, id)
    check(priced, id)


def test_hours_are_paid_once_though_workers_are_killed_while_they_look(priced: World, crashes: Crashes) -> None:
    id = priced.asked()
    go_on(priced, id, "ready")
    change(Deployment, id, billed_until=row(Deployment, id).billed_until - timedelta(hours=2))
    for point in CALL:
        crashes.crash(Deployment, id, point)
    with transaction() as session:
        mine = select(LedgerEntry.kind).where(LedgerEntry.deployment_id == id)
        kinds = [str(kind) for kind in session.exec(mine.order_by(LedgerEntry.id))]
    assert kinds == ["reserve", *["release", "settle", "reserve"] * 2]
    stop(priced, id)
    check(priced, id)


@pytest.mark.parametrize("point", STOP)
def test_one_is_stopped_at_whatever_point_its_worker_is_killed(priced: World, crashes: Crashes, point: str) -> None:
    id = priced.asked()
    go_on(priced, id, "ready")
    priced.person.http.delete(f"/deployments/{id}").raise_for_status()
    crashes.crash(Deployment, id, point)
    go_on(priced, id, "stopped")
    check(priced, id)


def test_nothing_is_lost_or_doubled_though_workers_die_anywhere_and_the_provider_fails(
    priced: World, crashes: Crashes
) -> None:
    chance = random.Random(7)
    ended = []
    for _ in range(3):
        ended.append(id := priced.asked())
        for number in range(40):
            found = row(Deployment, id)
            if found.status.is_final:
                break
            assert len(priced.running()) <= 1
            if found.create_pending_at is not None:
                pass_grace(id)
            if found.status == "starting":
                priced.move(id, status="ready")
            if found.status == "ready" or number == 25:
                priced.person.http.delete(f"/deployments/{id}")
            if chance.random() < 0.3:
                priced.sandbox.arm("*", "/v1/deployments/**", **chance.choice(FAULTS))
            change(Credential, priced.credential_id, paused_until=None)
            if chance.random() < 0.4:
                crashes.work(Deployment, id, chance.choice(list(POINTS)))
            else:
                step(Deployment, id)
            priced.sandbox.disarm()
        assert row(Deployment, id).status == "stopped"
        check(priced, id)
    assert len(ended) == 3
