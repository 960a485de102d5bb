"""What an hour of a deployment costs: a machine's price, times all the machines that its options may come to."""

from decimal import Decimal
from typing import Any

import pytest

from shared.deployments.prices import price_per_hour
from shared.projects.models import Credential
from shared.providers.dialects import Dialect
from shared.providers.options import DEPLOYMENT_OPTIONS, find_problem
from tests.worker.support import settings

pytestmark = pytest.mark.usefixtures("server")  # for its settings
H100, B200 = "NVIDIA_H100_80GB", "NVIDIA_B200_180GB"
PRICES = f'{{"fireworks": "2.50", "fireworks/{H100}": "4", "cred_1/{H100}": "3", "together/2x_h100": "8"}}'


def price(options: dict[str, Any], provider: str = "fireworks", id: str = "cred_2") -> Decimal | None:
    with settings(TUNERY_DEPLOYMENTS__PRICES_PER_HOUR=PRICES):
        return price_per_hour(Credential(id=id, provider=provider, base_url="https://far.example"), options)


@pytest.mark.parametrize(
    ("options", "machines"),
    [
        ({}, 1),
        ({"accelerators": 8}, 8),
        ({"min_replicas": 0}, 1),
        ({"min_replicas": 3}, 3),
        ({"max_replicas": 4}, 4),
        ({"min_replicas": 2, "max_replicas": 5, "accelerators": 4}, 20),
    ],
)
def test_the_most_machines_that_may_run_are_paid_for(options: dict[str, Any], machines: int) -> None:
    assert price(options) == machines * Decimal("2.50")


def test_a_machine_that_is_named_has_its_own_price_and_that_of_the_account_goes_first() -> None:
    assert price({"accelerator": H100, "accelerators": 2}) == 8
    assert price({"accelerator": H100, "accelerators": 2}, id="cred_1") == 6
    assert price({"hardware": "2x_h100", "max_replicas": 3}, "together") == 24


def test_the_price_of_another_machine_is_not_taken_for_it() -> None:
    assert price({"accelerator": B200}) is None
    assert price({"hardware": "8x_h100"}, "together") is None


def test_what_costs_nothing_costs_nothing() -> None:
    assert price({}, "nebius") == 0


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        (Dialect.FIREWORKS, {"accelerators": 17}),
        (Dialect.FIREWORKS, {"min_replicas": 17}),
        (Dialect.FIREWORKS, {"max_replicas": 17}),
        (Dialect.TOGETHER, {"min_replicas": 17}),
        (Dialect.TOGETHER, {"max_replicas": 17}),
    ],
    ids=str,
)
def test_no_request_asks_for_a_hall_of_machines(dialect: Dialect, options: dict[str, Any]) -> None:
    [name] = options
    problem = find_problem(dialect, options, DEPLOYMENT_OPTIONS)
    assert problem is not None
    assert (problem.name, problem.is_unknown) == (name, False)
    assert find_problem(dialect, {name: 16}, DEPLOYMENT_OPTIONS) is None
