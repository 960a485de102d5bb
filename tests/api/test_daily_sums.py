"""Sums by day are what the rows add up to, whoever writes these, and only triggers write the sums."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from shared.budgets import ledger
from shared.budgets.models import Kind
from shared.database import transaction
from shared.db.times import epoch, utc_now
from shared.jobs.models import Job
from tests.api.administration import Operator
from tests.api.test_costs import results, spend
from tests.worker.support import change
from tests.world import Person

TABLES = ("daily_sums", "daily_jobs", "job_labels", "project_storage")


def usage(operator: Operator, person: Person, **query: Any) -> dict[str, Any]:
    answer = operator.http.get(f"/projects/{person.project_id}/usage", params=query)
    found: dict[str, Any] = answer.json()
    return found


def test_a_part_of_a_day_counts_only_what_was_spent_in_it(operator: Operator, alice: Person) -> None:
    now = utc_now()
    for number in range(4):
        spend(alice, f"{10**number}", days_ago=number)
    whole = usage(operator, alice, start_time=epoch(now - timedelta(days=3, minutes=1)))
    assert Decimal(whole["cost"]) == 1111
    start, end = epoch(now - timedelta(days=2)) + 60, epoch(now) - 60
    assert Decimal(usage(operator, alice, start_time=start, end_time=end)["cost"]) == 10
    page = operator.openai.admin.organization.usage.costs(start_time=start, end_time=end)
    assert [amount for day in results(page) for _, _, amount in day] == ["10.00"]


def test_reservations_count_until_they_are_released(operator: Operator, alice: Person) -> None:
    spend(alice, "5", kind=Kind.RESERVE, days_ago=2)
    spend(alice, "-5", kind=Kind.RELEASE)
    spend(alice, "3", kind=Kind.RESERVE)
    assert Decimal(usage(operator, alice)["reserved"]) == 3


def test_a_transaction_sees_its_own_entries_in_the_sums(alice: Person) -> None:
    spend(alice, "2")
    with transaction() as session:
        sums = ledger.sums(session, alice.project_id, ledger.this_month())
    assert sums.spent == 2


def test_jobs_are_counted_by_how_they_ended_and_on_the_day_of_their_creation(operator: Operator, alice: Person) -> None:
    file_id = alice.upload()
    cancelled, active, older = (alice.create_job(training_file=file_id) for _ in range(3))
    change(Job, older, created_at=utc_now() - timedelta(days=40))
    for job_id in (cancelled, older):
        alice.openai.fine_tuning.jobs.cancel(job_id)
    day_ago = epoch(utc_now() - timedelta(days=1))
    counted = usage(operator, alice, start_time=day_ago)["jobs"]
    assert counted == {"created": 2, "active": 1, "succeeded": 0, "failed": 0, "cancelled": 1}
    alice.openai.fine_tuning.jobs.cancel(active)
    assert usage(operator, alice, start_time=day_ago)["jobs"]["cancelled"] == 2


def test_files_count_until_they_are_deleted(operator: Operator, alice: Person, bob: Person) -> None:
    kept, deleted = alice.upload(b"x" * 10), alice.upload(b"x" * 1000)
    bob.upload()
    alice.openai.files.delete(deleted)
    found = usage(operator, alice)
    assert (found["files"], found["bytes"]) == (1, 10)
    alice.openai.files.delete(kept)
    assert usage(operator, alice)["files"] == 0


@pytest.mark.parametrize("table", TABLES)
def test_a_projects_session_cannot_write_them(alice: Person, table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), transaction(alice.project_id) as session:
        session.execute(text(f"delete from {table}"))
