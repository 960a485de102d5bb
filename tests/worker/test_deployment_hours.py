"""The money of a deployment: an hour reserved ahead, settled when it is over, and a stop when the next is not paid."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import httpx2
import pytest
from sqlmodel import select

from shared.budgets import ledger
from shared.budgets.models import LedgerEntry
from shared.database import transaction
from shared.db.times import utc_now
from shared.deployments.models import Deployment
from tests.api.accounts import admin as admin
from tests.deployed import World
from tests.deployed import deploying_sandbox as deploying_sandbox
from tests.deployed import world as world
from tests.worker.support import change, settings
from tests.world import row, step

PRICE = Decimal("2.50")


@pytest.fixture
def priced(world: World) -> Iterator[World]:
    with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR='{"azure": "2.50"}'):
        yield world


def sums(world: World) -> tuple[Decimal, Decimal]:
    """Spent, and reserved."""
    with transaction() as session:
        found = ledger.sums(session, world.person.project_id, ledger.this_month())
    return found.spent, found.reserved


def limit(admin: httpx2.Client, world: World, cents: int) -> None:
    body = {"currency": "USD", "interval": "month", "threshold_amount": cents}
    admin.post(f"/organization/projects/{world.person.project_id}/spend_limit", json=body).raise_for_status()


def let_pass(id: str, time: timedelta) -> None:
    change(Deployment, id, billed_until=row(Deployment, id).billed_until - time)


def test_the_first_hour_is_reserved_when_it_is_asked_for_and_each_is_settled_when_over(priced: World) -> None:
    id = priced.asked()
    assert (sums(priced), priced.shown(id)["price_per_hour"]) == ((Decimal(), PRICE), "2.50")
    step(Deployment, id)
    let_pass(id, timedelta(hours=3, minutes=10))
    step(Deployment, id)
    assert sums(priced) == (3 * PRICE, PRICE)
    assert priced.shown(id)["cost"] == {"amount": "7.50", "currency": "USD"}
    step(Deployment, id)
    assert sums(priced) == (3 * PRICE, PRICE)


def test_the_last_part_of_an_hour_is_settled_and_the_rest_is_free_again(priced: World) -> None:
    id = priced.ready()
    let_pass(id, timedelta(minutes=30))
    priced.person.http.delete(f"/deployments/{id}")
    step(Deployment, id)
    spent, reserved = sums(priced)
    assert (row(Deployment, id).status, reserved) == ("stopped", Decimal())
    assert PRICE / 2 <= spent < PRICE * Decimal("0.6")
    assert row(Deployment, id).cost == spent


def test_one_that_never_ran_costs_nothing(priced: World) -> None:
    priced.person.http.delete(f"/deployments/{priced.asked()}")
    assert sums(priced) == (Decimal(), Decimal())


def test_what_does_not_fit_into_the_limit_is_refused(priced: World, admin: httpx2.Client) -> None:
    limit(admin, priced, 249)
    answer = priced.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "project_spend_limit_exceeded")
    assert "An hour of the deployment is estimated at 2.50 USD" in answer.json()["error"]["message"]
    assert priced.person.http.get("/deployments").json()["data"] == []


def test_when_the_next_hour_is_not_paid_it_is_stopped_with_words(priced: World, admin: httpx2.Client) -> None:
    limit(admin, priced, 600)
    id = priced.ready()
    let_pass(id, timedelta(hours=1))
    step(Deployment, id)
    assert (row(Deployment, id).status, sums(priced)) == ("ready", (PRICE, PRICE))
    let_pass(id, timedelta(hours=1))
    step(Deployment, id)
    shown = priced.shown(id)
    assert (shown["status"], shown["reason"]["code"]) == ("stopped", "project_spend_limit_exceeded")
    assert "1.00 USD is left" in shown["reason"]["message"]
    spent, reserved = sums(priced)
    assert (reserved, priced.running()) == (Decimal(), [])
    assert 2 * PRICE <= spent < 2 * PRICE + Decimal("0.2")


def test_a_project_with_a_limit_does_not_deploy_at_an_unknown_price(world: World, admin: httpx2.Client) -> None:
    limit(admin, world, 100_000)
    answer = world.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "cost_unknown")


def test_the_price_of_an_account_goes_before_that_of_its_provider(world: World) -> None:
    prices = f'{{"azure": "2.50", "{world.credential_id}": "1.25"}}'
    with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR=prices):
        assert world.shown(world.asked())["price_per_hour"] == "1.25"


def test_hours_go_on_while_the_provider_does_not_answer(priced: World) -> None:
    """It runs, and costs, whether or not it can be looked at."""
    id = priced.ready()
    let_pass(id, timedelta(hours=2))
    priced.sandbox.arm("GET", "/v1/deployments/*", status=500)
    step(Deployment, id)
    assert sums(priced) == (2 * PRICE, PRICE)


def test_hours_go_on_while_it_is_being_stopped_whatever_is_left(priced: World, admin: httpx2.Client) -> None:
    """A provider that refuses the end still has it run, and bills it."""
    limit(admin, priced, 600)
    id = priced.ready()
    priced.person.http.delete(f"/deployments/{id}")
    priced.sandbox.arm("DELETE", "/v1/deployments/*", status=403, times=2)
    let_pass(id, timedelta(hours=4))
    step(Deployment, id)
    assert (row(Deployment, id).status, sums(priced)) == ("stopping", (4 * PRICE, PRICE))
    assert priced.shown(id)["cost"]["amount"] == "10.00"
    step(Deployment, id)
    assert sums(priced) == (4 * PRICE, PRICE)
    step(Deployment, id)
    spent, reserved = sums(priced)
    assert (row(Deployment, id).status, reserved) == ("stopped", Decimal())
    assert 4 * PRICE <= spent < Decimal("10.20")


def test_the_hour_in_which_it_is_stopped_is_reserved_though_it_is_beyond_the_limit(
    priced: World, admin: httpx2.Client
) -> None:
    limit(admin, priced, 300)
    id = priced.ready()
    let_pass(id, timedelta(hours=1))
    priced.sandbox.arm("DELETE", "/v1/deployments/*", status=403)
    step(Deployment, id)
    assert (row(Deployment, id).status, sums(priced)) == ("stopping", (PRICE, PRICE))


def test_each_entry_names_its_deployment(priced: World) -> None:
    id = priced.ready()
    let_pass(id, timedelta(hours=1))
    step(Deployment, id)
    with transaction() as session:
        entries = session.exec(select(LedgerEntry).order_by(LedgerEntry.id)).all()
    assert [(each.kind, each.deployment_id, each.job_id) for each in entries] == [
        (kind, id, None) for kind in ("reserve", "release", "settle", "reserve")
    ]
    assert all(each.created_at <= utc_now() for each in entries)
