"""`tunery limit` and `tunery cost`."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from shared.db.times import utc_now
from tests.api.test_costs import LARGE, MINI, spend
from tests.cli.terminal import Tunery
from tests.world import Person

pytestmark = pytest.mark.usefixtures("as_admin")


def test_a_limit_is_set_in_parts_shown_and_taken_away(alice: Person, tunery: Tunery) -> None:
    month = f"{utc_now():%Y-%m}"
    said = tunery("limit", "set", alice.project_id, "499.99", "--alert", "90", "--alert", "50")
    assert said.out.splitlines() == [
        f"alice's team, {month}: 0.00 USD spent, 0.00 USD reserved for jobs",
        "Limit:    499.99 USD, alerts at 50 %, 90 %",
        "Approval: not needed",
    ]
    said = tunery("limit", "set", alice.project_id, "--approval-above", "100")
    assert said.out.splitlines()[1:] == [
        "Limit:    499.99 USD, alerts at 50 %, 90 %",
        "Approval: above 100.00 USD for a job",
    ]
    tunery("limit", "set", alice.project_id, "none", "--approval-above", "none")
    assert tunery("limit", "show", alice.project_id).out.splitlines()[1:] == [
        "Limit:    none",
        "Approval: not needed",
    ]


def test_what_is_left_out_of_a_limit_stays_as_the_server_has_it(alice: Person, tunery: Tunery) -> None:
    refused = tunery("limit", "set", alice.project_id, "--alert", "10")
    assert (refused.code, refused.err) == (
        1,
        f"{alice.project_id} has no spend limit yet: a new one needs its amount.\n",
    )
    tunery("limit", "set", alice.project_id, "10")
    assert "Limit:    10.00 USD, alerts at 50 %, 80 %, 100 %" in tunery("limit", "show", alice.project_id).out
    with ThreadPoolExecutor(2) as both:  # each sends one half, and neither sends what it has read before
        address = f"/v1/organization/projects/{alice.project_id}/spend_limit"
        halves = [{"threshold_amount": 2000}, {"alert_percentages": [70]}]
        key = os.environ["OPENAI_ADMIN_KEY"]
        server = alice.base_url.removesuffix("/v1")

        def send(half: dict[str, object]) -> int:
            body = {"currency": "USD", "interval": "month", **half}
            return httpx2.post(server + address, json=body, headers={"authorization": f"Bearer {key}"}).status_code

        assert list(both.map(send, halves)) == [200, 200]
    assert "Limit:    20.00 USD, alerts at 70 %" in tunery("limit", "show", alice.project_id).out


@pytest.mark.parametrize("amount", ["5 dollars", "1.234", "-5", "NaN"])
def test_what_is_no_amount_is_refused_with_a_sentence(alice: Person, tunery: Tunery, amount: str) -> None:
    said = tunery("limit", "set", alice.project_id, "--approval-above", amount)
    assert said.code == 2
    assert "must be an amount in USD such as 500 or 499.99" in " ".join(said.err.split()).replace("│ ", "")


def test_a_project_that_never_was_is_said_in_a_sentence(tunery: Tunery) -> None:
    for command in (("limit", "show", "proj_never"), ("limit", "set", "proj_never", "1")):
        said = tunery(*command)
        assert (said.code, said.err) == (1, "No such project: proj_never.\n")


def test_costs_are_shown_by_project_and_line_item(alice: Person, bob: Person, tunery: Tunery) -> None:
    spend(alice, "1.50")
    spend(alice, "20", LARGE)
    spend(bob, "0.000003")
    titles, *rows = [line.split("  ") for line in tunery("cost").out.splitlines()]
    table = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert [cell.strip() for cell in titles if cell.strip()] == ["PROJECT", "LINE ITEM", "AMOUNT", "TOKENS"]
    assert table == [
        [f"alice's team ({alice.project_id})", LARGE, "20.00 USD", "1,000"],
        [f"alice's team ({alice.project_id})", MINI, "1.50 USD", "1,000"],
        [f"bob's team ({bob.project_id})", MINI, "0.000003 USD", "1,000"],
        ["together", "21.500003 USD"],
    ]


def test_costs_are_told_to_programs_exactly(alice: Person, bob: Person, tunery: Tunery) -> None:
    spend(alice, "0.1")
    spend(alice, "0.2")
    spend(bob, "7")
    said = tunery("cost", "--json", "--project", alice.project_id)
    assert json.loads(said.out) == [
        {
            "project_id": alice.project_id,
            "project": "alice's team",
            "line_item": MINI,
            "amount": "0.30",
            "currency": "USD",
            "tokens": 2000,
        }
    ]
    assert json.loads(tunery("cost", "--json", "--month", "2020-01").out) == []
