"""What the scheduler asks Postgres and Redis for its metrics."""

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import date, timedelta
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from shared.budgets import ledger
from shared.budgets.models import CURRENCY, Budget, Kind, LedgerEntry
from shared.database import transaction
from shared.db.times import utc_now
from shared.due_tables import DUE
from shared.jobs.models import Job, JobStatus
from shared.projects.models import Credential
from tests.brokers import broker_at
from tests.worker.support import change, ids, ready_job, settings, wait_until_blocked
from tests.world import Person, Sandbox, as_owner, row, step
from worker.runtime import gauge_queries, gauges
from worker.runtime.gauges import Gathered
from worker.runtime.health import connect


def gathered() -> dict[tuple[str, ...], float]:
    """Each gauge by its name and the values of its labels."""
    families = text_string_to_metric_families(Gathered().text().decode())
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_rows_that_are_due_and_those_that_kill_their_worker(alice: Person) -> None:
    late = alice.create_job()
    change(Job, late, due_at=utc_now() - timedelta(minutes=1))
    change(Job, alice.create_job(), due_at=utc_now() + timedelta(seconds=30), failures=3)
    found = gathered()
    assert found["tunery_due_rows", "jobs"] == 1
    assert 60 <= found["tunery_due_seconds", "jobs"] < 90
    assert found["tunery_tried_rows", "jobs"] == 1
    assert {key[1] for key in found if key[0] == "tunery_due_rows"} == {str(model.__tablename__) for model in DUE}
    assert found["tunery_queue_messages", "celery"] > 0


def test_open_jobs_and_how_old_the_oldest_is(alice: Person) -> None:
    old = alice.create_job()
    change(Job, old, created_at=utc_now() - timedelta(hours=2))
    alice.create_job()
    alice.openai.fine_tuning.jobs.cancel(alice.create_job())
    found = gathered()
    assert found["tunery_open_jobs", JobStatus.VALIDATING_FILES] == 2
    assert 7200 <= found["tunery_open_job_seconds", JobStatus.VALIDATING_FILES] < 7300
    assert ("tunery_open_jobs", JobStatus.CANCELLED) not in found


@pytest.mark.usefixtures("one_slot")
def test_jobs_that_wait_for_a_slot_by_model(alice: Person) -> None:
    for _ in range(2):
        step(Job, ready_job(alice))
    found = gathered()
    model = row(Job, ids(Job)[0]).model
    assert found["tunery_waiting_jobs", model] >= 1
    assert found["tunery_waiting_job_seconds", model] >= 0


def test_accounts_that_work_fail_and_back_off(alice: Person, sandbox: Sandbox) -> None:
    alice.create_job()
    [account] = ids(Credential)
    assert gathered()["tunery_accounts", "deployment", "ok"] == 1
    change(Credential, account, test_error={"code": "invalid_api_key", "message": "No."})
    assert gathered()["tunery_accounts", "deployment", "failing"] == 1
    change(Credential, account, test_error={"code": "provider_not_configured", "message": "No."})
    assert not [key for key in gathered() if key[0] == "tunery_accounts"]
    change(Credential, account, test_error={"code": "invalid_api_key", "message": "No."})
    change(Credential, account, paused_until=utc_now() + timedelta(minutes=1))
    found = gathered()
    assert found["tunery_accounts", "deployment", "backed off"] == 1
    assert ("tunery_accounts", "deployment", "failing") not in found


def spend(project_id: str, amount: str, kind: Kind, month: date) -> None:
    with transaction() as session:
        session.add(
            LedgerEntry(
                project_id=project_id,
                kind=kind,
                amount=Decimal(amount),
                currency=CURRENCY,
                month=month,
                line_item="x",
                reason="x",
            )
        )


def test_this_months_money_and_the_budgets_near_their_end(alice: Person, bob: Person) -> None:
    month = ledger.this_month()
    for person, limit in ((alice, "100"), (bob, "1000")):
        with transaction() as session:
            session.add(Budget(project_id=person.project_id, spend_limit=Decimal(limit)))
    spend(alice.project_id, "60", Kind.SETTLE, month)
    spend(alice.project_id, "35", Kind.RESERVE, month)
    spend(bob.project_id, "5000", Kind.SETTLE, month - timedelta(days=1))
    found = gathered()
    assert (found["tunery_spend_dollars", "spent"], found["tunery_spend_dollars", "reserved"]) == (60, 35)
    assert (found["tunery_budgets", "near"], found["tunery_budgets", "ok"]) == (1, 1)
    spend(alice.project_id, "5", Kind.SETTLE, month)
    assert gathered()["tunery_budgets", "reached"] == 1


def test_a_model_that_retires_soon(alice: Person) -> None:
    job_id = ready_job(alice)
    step(Job, job_id)
    job = row(Job, job_id)
    names = [key[1] for key in gathered() if key[0] == "tunery_model_retires_seconds"]
    assert names == []
    models = [{"id": job.model, "created": 0, "owned_by": "x", "shutdown_date": "2026-12-09"}]
    change(Credential, job.credential_id, base_models=models)
    [(name, left)] = [(key[1], each) for key, each in gathered().items() if key[0] == "tunery_model_retires_seconds"]
    assert name in job.model
    assert left == timedelta(days=10).total_seconds()
    change(Credential, job.credential_id, base_models=[models[0] | {"shutdown_date": "2026-11-01"}])
    assert [key for key in gathered() if key[0] == "tunery_model_retires_seconds"] == []


@pytest.mark.usefixtures("clean")
def test_the_sizes_of_tables_and_of_the_disk() -> None:
    found = gathered()
    assert found["tunery_table_bytes", "jobs"] > 8192
    assert 0 < found["tunery_storage_bytes", "free"] < found["tunery_storage_bytes", "total"]


@pytest.mark.usefixtures("clean")
def test_without_redis_or_postgres_the_others_are_shown() -> None:
    with broker_at("redis://127.0.0.1:1/0"):
        found = gathered()
    assert (found["tunery_up", "redis"], found["tunery_up", "postgres"]) == (0, 1)
    assert ("tunery_queue_messages", "celery") not in found
    with settings(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none"):
        found = gathered()
    assert (found["tunery_up", "redis"], found["tunery_up", "postgres"]) == (1, 0)
    assert ("tunery_due_rows", "jobs") not in found


@pytest.mark.usefixtures("clean")
def test_a_question_that_takes_too_long_is_left_out_alone() -> None:
    with as_owner() as session, connect() as connection, ThreadPoolExecutor(1) as pool:
        session.execute(text("lock table budgets in access exclusive mode"))
        connection.execute("set statement_timeout = 0")
        asked = pool.submit(gauge_queries.ask, connection)
        wait_until_blocked(session, asked)
        while not asked.done():  # the question after it waits for the same lock
            connection.cancel()  # as when the time of a statement is over
            wait([asked], 0.1)
        shown = {name: rows for question, rows in asked.result().items() for name in question.gauges}
    assert shown["tunery_budgets"] == []
    assert shown["tunery_due_rows"]


def test_several_scrapes_within_seconds_ask_once(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "EVERY_SECONDS", 1e9)
    shown = Gathered()
    before = shown.text()
    alice.create_job()
    assert shown.text() == before
    assert Gathered().text() != before
