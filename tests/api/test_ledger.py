"""/v1/organization/projects/{id}/ledger: each movement of money once, exact and unchangeable."""

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from shared.budgets import ledger
from shared.database import transaction
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobStatus
from shared.jobs.schemas import JobCreate
from shared.jobs.spending import costs
from shared.projects.callers import identify, require_project
from tests.api.administration import Operator, counted_file, estimate_of
from tests.api.training import train
from tests.worker.support import change, ids, running_job
from tests.world import Person, Sandbox, as_owner, row, step, work


def kinds(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["kind"] for entry in entries]


def end(job_id: str, status: JobStatus, trained_tokens: int | None = None) -> None:
    """Record the end of a job as the worker does."""
    with transaction() as session:
        job = session.get_one(Job, job_id, with_for_update={"key_share": True})
        job.trained_tokens = trained_tokens
        if status is JobStatus.SUCCEEDED:
            costs.note_cost(job, None)
        jobs.move(session, job, status)


def create_many(person: Person, file_id: str, count: int) -> list[str]:
    """Create jobs without HTTP."""
    new = JobCreate(model="gpt-4o-mini", training_file=file_id)
    with transaction() as session:
        caller = require_project(identify(session, person.api_key))
        return [jobs.create(session, caller, new).id for _ in range(count)]


def test_success_settles_the_actual_cost_in_place_of_the_estimate(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    file_id = counted_file(alice)
    job = train(alice, sandbox, training_file=file_id)
    entries = operator.entries(alice)
    assert kinds(entries) == ["reserve", "release", "settle"]
    reserved, released, settled = (Decimal(entry["amount"]) for entry in entries)
    assert (reserved, released) == (estimate_of(alice, file_id), -reserved)
    cost: Any = job.to_dict()["cost"]
    assert settled == Decimal(job.trained_tokens or 0) * 3 / 1_000_000 == Decimal(cost["amount"])
    assert entries[2]["quantity"] == job.trained_tokens
    assert {entry["job_id"] for entry in entries} == {job.id}


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_ends_without_a_model_costs_nothing(
    operator: Operator, alice: Person, sandbox: Sandbox, status: str
) -> None:
    job_id, theirs = running_job(alice, sandbox, training_file=counted_file(alice))
    sandbox.move(theirs, status=status)
    step(Job, job_id)
    entries = operator.entries(alice)
    assert kinds(entries) == ["reserve", "release"]
    assert sum(Decimal(entry["amount"]) for entry in entries) == 0
    assert entries[1]["reason"] == f"The job is {status}"


def test_a_job_cancelled_before_its_estimate_is_known_leaves_no_entry(operator: Operator, alice: Person) -> None:
    job_id = alice.create_job()
    alice.openai.fine_tuning.jobs.cancel(job_id)
    work(3)
    assert row(Job, job_id).estimated_cost is not None
    assert operator.entries(alice) == []


def test_an_estimate_known_only_while_the_job_runs_is_reserved_then(
    operator: Operator, alice: Person, sandbox: Sandbox
) -> None:
    job_id, _ = running_job(alice, sandbox)
    assert operator.entries(alice) == []
    operator.limit(alice, 0)  # too late for this one
    work()
    assert kinds(operator.entries(alice)) == ["reserve"]
    assert row(Job, job_id).status is JobStatus.RUNNING


def test_success_without_trained_tokens_settles_the_estimate(operator: Operator, alice: Person) -> None:
    job_id = alice.create_job(training_file=counted_file(alice))
    end(job_id, JobStatus.SUCCEEDED)
    reserved, _, settled = operator.entries(alice)
    assert settled["amount"] == reserved["amount"]
    assert "does not say" in settled["reason"]


def test_a_hundred_jobs_with_all_kinds_of_ends_add_up_exactly(operator: Operator, alice: Person) -> None:
    chance, file_id = Random(7), counted_file(alice)
    estimate = estimate_of(alice, file_id)
    operator.limit(alice, 10**12)
    spent, ends = Decimal(), Counter[str]()
    for job_id in create_many(alice, file_id, 100):
        outcome = chance.choice(["succeeded", "succeeded", "failed", "cancelled", "goes on"])
        ends[outcome] += 1
        if outcome == "succeeded":
            tokens = chance.randrange(1, 10**9)
            end(job_id, JobStatus.SUCCEEDED, tokens)
            end(job_id, JobStatus.SUCCEEDED, tokens)  # told twice, settled once
            spent += Decimal(3 * tokens).scaleb(-6)
        elif outcome != "goes on":
            end(job_id, JobStatus(outcome))
    assert min(ends.values()) > 5
    with transaction() as session:
        sums = ledger.sums(session, alice.project_id, ledger.this_month())
    assert (sums.spent, sums.reserved) == (spent, estimate * ends["goes on"])
    for job_id in ids(Job):
        end(job_id, JobStatus.CANCELLED)
    shown = operator.limit(alice, 10**12).to_dict()
    assert (Decimal(str(shown["spent"])), shown["reserved"]) == (spent, "0.00")


def test_a_job_settles_in_the_month_in_which_it_was_reserved(operator: Operator, alice: Person) -> None:
    job_id = alice.create_job(training_file=counted_file(alice))
    with as_owner() as session:
        session.execute(text("alter table ledger_entries disable trigger ledger_entries_only_added_to"))
        session.execute(text("update ledger_entries set month = '2026-01-01'"))
        session.execute(text("alter table ledger_entries enable trigger ledger_entries_only_added_to"))
    end(job_id, JobStatus.SUCCEEDED, 1000)
    assert {entry["month"] for entry in operator.entries(alice)} == {"2026-01"}
    assert operator.limit(alice, 100).to_dict()["spent"] == "0.00"


@pytest.mark.parametrize("change", ["update ledger_entries set amount = 0", "delete from ledger_entries"])
def test_the_database_refuses_to_change_a_ledger_entry(alice: Person, change: str) -> None:
    alice.create_job(training_file=counted_file(alice))
    with pytest.raises(DatabaseError, match="only added to"), as_owner() as session:
        session.execute(text(change))
    with pytest.raises(DatabaseError, match="permission denied"), transaction() as session:
        session.execute(text(change))


def test_an_operator_corrects_what_was_spent(operator: Operator, alice: Person) -> None:
    job_id = alice.create_job(training_file=counted_file(alice))
    made = operator.post(alice, "ledger", amount="-0.10", currency="USD", reason="A refund", job_id=job_id)
    assert (made["kind"], made["amount"], made["job_id"]) == ("adjust", "-0.10", job_id)
    operator.post(alice, "ledger", amount="1.333", currency="USD", reason="As the bill says")
    assert operator.limit(alice, 1000).to_dict()["spent"] == "1.233"


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 0.1},
        {"amount": "1e3"},
        {"amount": "1.12345678901"},
        {"currency": "EUR"},
        {"reason": ""},
    ],
)
def test_a_correction_that_is_not_exact_or_has_no_reason_is_refused(
    operator: Operator, alice: Person, body: dict[str, Any]
) -> None:
    new = {"amount": "1.00", "currency": "USD", "reason": "why", **body}
    answer = operator.http.post(f"/projects/{alice.project_id}/ledger", json=new)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(body)))


def test_a_ledger_shows_only_its_own_projects_entries(operator: Operator, alice: Person, bob: Person) -> None:
    job_id = alice.create_job(training_file=counted_file(alice))
    [entry] = operator.entries(alice, job_id=job_id)
    assert operator.entries(bob, job_id=job_id) == operator.entries(bob) == []
    new = {"amount": "1.00", "currency": "USD", "reason": "why", "job_id": job_id}
    assert operator.http.post(f"/projects/{bob.project_id}/ledger", json=new).status_code == 404
    assert operator.http.get(f"/projects/{bob.project_id}/ledger", params={"after": entry["id"]}).status_code == 404


def test_a_job_whose_price_is_no_longer_known_settles_the_estimate(operator: Operator, alice: Person) -> None:
    job_id = alice.create_job(training_file=counted_file(alice))
    change(Job, job_id, provider="elsewhere")
    end(job_id, JobStatus.SUCCEEDED, 1000)
    reserved, _, settled = operator.entries(alice)
    assert settled["amount"] == reserved["amount"]
