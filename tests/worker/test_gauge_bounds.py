"""With very many rows the scheduler's metrics cost the same: what is read for them has a bound."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.worker.test_gauges import gathered
from tests.world import Person, as_owner
from worker.runtime import gauge_queries
from worker.runtime.health import connect

pytestmark = pytest.mark.timeout(400)  # for 150,000 rows on a busy machine


@pytest.fixture
def many_jobs(alice: Person) -> None:
    """20,000 jobs that have ended, and 15,000 that are open and due."""
    job_id = alice.create_job()
    columns = "', '".join(("id", "status", "due_at", "created_at", "slot"))
    with as_owner() as session:
        names = session.execute(
            text(
                "select string_agg(quote_ident(column_name), ', ') from information_schema.columns"
                f" where table_name = 'jobs' and column_name not in ('{columns}')"
            )
        ).scalar_one()
        session.execute(text("set local session_replication_role = replica"))  # no triggers, which take the time
        session.execute(
            text(
                f"insert into jobs (id, status, due_at, created_at, slot, {names})"
                " select 'ftjob-' || number, case when number > 15000 then 'succeeded' else 'queued' end,"
                " case when number > 15000 then null else now() end, now(), case when number > 15000 then null else"
                f" 'waiting' end, {names} from jobs, generate_series(1, 35000) as number where id = :id"
            ),
            {"id": job_id},
        )
        session.execute(text("analyze jobs"))


@pytest.fixture
def many_projects(alice: Person) -> None:
    """15,000 budgets and accounts, and 150,000 sums of this month after 20,000 of former ones."""
    alice.create_job()
    rows = "generate_series(1, 15000) as number"
    with as_owner() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.execute(
            text(
                "insert into budgets (id, created_at, project_id, spend_limit, alert_percentages)"
                f" select 'budget_' || number, now(), 'proj_' || number, 100, '[]' from {rows}"
            )
        )
        session.execute(
            text(
                "insert into credentials select (jsonb_populate_record(credentials, jsonb_build_object("
                f"'id', 'cred_' || number, 'project_id', 'proj_' || number))).* from credentials, {rows}"
            )
        )
        session.execute(
            text(
                "insert into daily_sums (project_id, day, month, is_reserved, line_item, currency, amount)"
                " select 'proj_' || number % 15000, day, date_trunc('month', day), false, number::text, 'USD', 1"
                " from generate_series(1, 170000) as number, lateral (select (date_trunc('month', now() at time zone"
                " 'utc') - case when number > 150000 then interval '40 days' else interval '0' end)::date as day)"
                " as days"
            )
        )
        for table in ("budgets", "credentials", "daily_sums"):
            session.execute(text(f"analyze {table}"))


@pytest.mark.usefixtures("many_projects")
def test_with_very_many_projects_money_and_accounts_are_read_up_to_a_bound() -> None:
    found = gathered()
    assert sum(value for key, value in found.items() if key[0] == "tunery_budgets") == gauge_queries.MOST
    assert sum(value for key, value in found.items() if key[0] == "tunery_accounts") == gauge_queries.MOST
    assert [key for key in found if key[0] == "tunery_spend_dollars"] == []  # a part of the sum would be wrong
    with connect() as connection:
        for question in gauge_queries.QUESTIONS[3:6]:
            plan = connection.execute(b"explain (analyze, format json) " + question.sql.encode()).fetchone()
            assert plan is not None
            read = [node for node in nodes(plan[0][0]["Plan"]) if "Relation Name" in node]
            assert read
            assert max(node["Actual Rows"] * node["Actual Loops"] for node in read) <= 1.1 * gauge_queries.MOST_SUMS


@pytest.mark.usefixtures("many_jobs")
def test_with_very_many_rows_each_question_reads_an_index_and_no_more_than_its_bound() -> None:
    found = gathered()
    assert found["tunery_due_rows", "jobs"] == gauge_queries.MOST
    assert sum(value for key, value in found.items() if key[0] == "tunery_open_jobs") == gauge_queries.MOST
    with connect() as connection:
        for question in gauge_queries.QUESTIONS[:3]:
            plan = connection.execute(b"explain (analyze, format json) " + question.sql.encode()).fetchone()
            assert plan is not None
            read = [node for node in nodes(plan[0][0]["Plan"]) if node.get("Relation Name") == "jobs"]
            assert read
            assert [node["Node Type"] for node in read if node["Node Type"] == "Seq Scan"] == []
            assert max(node["Actual Rows"] for node in read) <= gauge_queries.MOST


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)
