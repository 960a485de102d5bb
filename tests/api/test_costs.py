"""/v1/organization/costs and a project's usage: sums of the ledger."""

import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from shared.budgets.models import CURRENCY, Kind, LedgerEntry
from shared.database import transaction
from shared.db.times import utc_now
from tests.api.administration import Operator, counted_file
from tests.api.training import train
from tests.world import Person, Sandbox

DAY = 86_400
MINI, LARGE = "gpt-4o-mini-2024-07-18, training", "gpt-4.1-2025-04-14, training"


def spend(person: Person, amount: str, line_item: str = MINI, *, days_ago: int = 0, kind: Kind = Kind.SETTLE) -> None:
    at = utc_now() - timedelta(days=days_ago)
    with transaction() as session:
        session.add(
            LedgerEntry(
                created_at=at,
                project_id=person.project_id,
                kind=kind,
                amount=Decimal(amount),
                currency=CURRENCY,
                month=at.date().replace(day=1),
                line_item=line_item,
                quantity=1000,
                reason="A test",
            )
        )


def results(page: Any) -> list[list[tuple[Any, ...]]]:
    """Return the results of each day as (project, line item, amount)."""
    return [
        [(each.project_id, each.line_item, each.amount.to_dict()["exact_value"]) for each in day.results]
        for day in page.data
    ]


def test_costs_are_summed_up_by_day_and_read_by_the_sdk(operator: Operator, alice: Person, bob: Person) -> None:
    spend(alice, "0.1", days_ago=1)
    spend(alice, "0.2", days_ago=1)
    spend(bob, "1.05")
    spend(bob, "7.00", kind=Kind.RESERVE)
    page = operator.openai.admin.organization.usage.costs(start_time=int(time.time()) - 2 * DAY)
    assert [len(day.results) for day in page.data] == [0, 1, 1]
    assert results(page)[1:] == [[(None, None, "0.30")], [(None, None, "1.05")]]
    result: Any = page.data[2].results[0]
    assert (result.object, result.amount.value, result.amount.currency) == ("organization.costs.result", 1.05, "usd")
    assert [day.end_time - day.start_time for day in page.data] == [DAY] * 3
    assert page.data[0].start_time % DAY == 0
    assert (page.has_more, page.next_page) == (False, None)


def test_costs_are_split_by_project_and_line_item_and_filtered(operator: Operator, alice: Person, bob: Person) -> None:
    spend(alice, "1")
    spend(alice, "2", LARGE)
    spend(bob, "4")
    costs, since = operator.openai.admin.organization.usage.costs, int(time.time()) - 60
    a, b = alice.project_id, bob.project_id
    [*_, by_project] = results(costs(start_time=since, group_by=["project_id"]))
    assert by_project == [(a, None, "3.00"), (b, None, "4.00")]
    [*_, by_both] = results(costs(start_time=since, group_by=["project_id", "line_item"], project_ids=[a]))
    assert sorted(by_both) == sorted([(a, LARGE, "2.00"), (a, MINI, "1.00")])
    page = costs(start_time=since, group_by=["line_item"], line_items=[MINI])
    assert results(page)[-1] == [(None, MINI, "5.00")]
    result: Any = page.data[-1].results[0]
    assert (result.quantity, result.quantity_unit) == (2000, "tokens")


def test_costs_come_in_pages_of_days(operator: Operator, alice: Person) -> None:
    costs, since = operator.openai.admin.organization.usage.costs, int(time.time()) - 4 * DAY
    spend(alice, "1", days_ago=4)
    spend(alice, "2", days_ago=1)
    first = costs(start_time=since, limit=3)
    assert (len(first.data), first.has_more) == (3, True)
    second = costs(start_time=since, limit=3, page=first.next_page or "")
    assert (len(second.data), second.has_more, second.data[0].start_time) == (2, False, first.data[-1].end_time)
    assert [day for day in results(first) + results(second) if day] == [[(None, None, "1.00")], [(None, None, "2.00")]]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"start_time": "1", "group_by[]": "user_id"}, "invalid_value"),
        ({"start_time": "1", "group_by": "project_id"}, "unknown_parameter"),
        ({"start_time": "1", "api_key_ids[]": "key_1"}, "unknown_parameter"),
        ({"start_time": "1", "limit": "181"}, "invalid_value"),
        ({"start_time": "1", "page": "page_x"}, "invalid_value"),
        ({"start_time": "5", "end_time": "5"}, "invalid_value"),
    ],
)
@pytest.mark.usefixtures("clean")
def test_an_unsupported_cost_query_is_refused(operator: Operator, params: dict[str, str], code: str) -> None:
    answer = operator.http.get("/costs", params=params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_projects_usage_has_its_jobs_tokens_bytes_and_money(
    operator: Operator, alice: Person, bob: Person, sandbox: Sandbox
) -> None:
    file_id = counted_file(alice)
    job = train(alice, sandbox, training_file=file_id)
    alice.openai.fine_tuning.jobs.cancel(alice.create_job(training_file=file_id))
    alice.create_job(training_file=file_id)
    used = operator.http.get(f"/projects/{alice.project_id}/usage").raise_for_status().json()
    assert used["jobs"] == {"created": 3, "active": 1, "succeeded": 1, "failed": 0, "cancelled": 1}
    assert (used["trained_tokens"], used["files"]) == (job.trained_tokens, 2)
    assert used["bytes"] == sum(file.bytes for file in alice.openai.files.list())
    assert Decimal(used["cost"]) == Decimal(job.trained_tokens or 0) * 3 / 1_000_000
    assert Decimal(used["reserved"]) > 0
    theirs = operator.http.get(f"/projects/{bob.project_id}/usage").json()
    assert (theirs["jobs"]["created"], theirs["bytes"], theirs["cost"]) == (0, 0, "0.00")
    assert operator.http.get("/projects/proj_none/usage").status_code == 404


def test_the_costs_of_many_entries_are_found_by_an_index(operator: Operator, alice: Person) -> None:
    spend(alice, "1")
    with transaction() as session:
        session.execute(text("set local enable_seqscan = off"))
        query = "explain select sum(amount) from ledger_entries where project_id = 'a' and month = '2026-01-01'"
        plan = "\n".join(session.execute(text(query)).scalars())
    assert "ix_ledger_entries_sums" in plan
