"""What the scheduler asks Postgres for its metrics: the same work however many rows there are.

Each statement reads a range of an index, or a table, and no more than `MOST` rows of it. A sum of money of which that
were a part only is left out.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from shared.budgets.models import CURRENCY
from shared.due_tables import DUE
from shared.jobs.models import IS_OPEN, IS_WAITING
from shared.overview.due import TRIED_OFTEN

MOST = 10_000  # rows of a kind that are counted; beyond it a gauge stays there
MOST_SUMS = 100_000  # sums by project, day and line item
MOST_MODELS = 50
NEAR = 0.9  # of a spend limit

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Question:
    """`sql` answers rows of labels, and after them a value for each gauge."""

    sql: str
    gauges: tuple[str, ...]


_MONTH = "date_trunc('month', now() at time zone 'utc')::date"
_DUE = " union all ".join(
    f"select '{model.__tablename__}', count(*) filter (where due_at <= now()),"
    " coalesce(extract(epoch from now() - min(due_at) filter (where due_at <= now())), 0),"
    f" count(*) filter (where failures >= {TRIED_OFTEN})"
    f" from (select due_at, failures from {model.__tablename__} where due_at <= now() + interval '10 minutes'"
    f" order by due_at limit {MOST}) as next"
    for model in DUE
)
_JOBS = f"""select status, count(*), extract(epoch from now() - min(created_at))
    from (select status, created_at from jobs where {IS_OPEN} limit {MOST}) as open_jobs group by status"""
_WAITING = f"""select model, count(*), extract(epoch from now() - min(created_at))
    from (select model, created_at from jobs where {IS_WAITING} limit {MOST}) as waiting
    group by model order by 2 desc limit {MOST_MODELS}"""
# What is no longer configured fails for good, and is nobody's fault.
_ACCOUNTS = f"""select case when project_id is null then 'deployment' else 'project' end, case
        when paused_until > now() then 'backed off'
        when test_error is not null then 'failing' else 'ok' end, count(*)
    from (select project_id, paused_until, test_error from credentials where deleted_at is null
        and test_error ->> 'code' is distinct from 'provider_not_configured' limit {MOST}) as accounts
    group by 1, 2"""
_SPEND = f"""select kind, total from (
        select case when is_reserved then 'reserved' else 'spent' end as kind, sum(amount) as total,
            sum(count(*)) over () as rows_read
        from (select is_reserved, amount from daily_sums
            where day >= {_MONTH} and month = {_MONTH} and currency = '{CURRENCY}' limit {MOST_SUMS + 1}) as sums
        group by 1) as kinds
    where rows_read <= {MOST_SUMS}"""
_BUDGETS = f"""select case when committed >= spend_limit then 'reached'
        when committed >= {NEAR} * spend_limit then 'near' else 'ok' end, count(*)
    from (select project_id, spend_limit from budgets where spend_limit > 0 limit {MOST}) as limits
    cross join lateral (
        select coalesce(sum(amount), 0) as committed from daily_sums
        where daily_sums.project_id = limits.project_id and currency = '{CURRENCY}'
        and month = {_MONTH}) as this_month
    group by 1"""
_TABLES = f"""select relname, pg_total_relation_size(oid) from pg_class
    where relkind = 'r' and relnamespace = current_schema()::regnamespace order by 2 desc limit {MOST_MODELS}"""

QUESTIONS = (
    Question(_DUE, ("tunery_due_rows", "tunery_due_seconds", "tunery_tried_rows")),
    Question(_JOBS, ("tunery_open_jobs", "tunery_open_job_seconds")),
    Question(_WAITING, ("tunery_waiting_jobs", "tunery_waiting_job_seconds")),
    Question(_ACCOUNTS, ("tunery_accounts",)),
    Question(_SPEND, ("tunery_spend_dollars",)),
    Question(_BUDGETS, ("tunery_budgets",)),
    Question(_TABLES, ("tunery_table_bytes",)),
)


def ask(connection: psycopg.Connection[Any]) -> Mapping[Question, Rows]:
    """Raises `psycopg.Error`."""
    return {question: _rows(connection, question) for question in QUESTIONS}


def _rows(connection: psycopg.Connection[Any], question: Question) -> Rows:
    """None if it takes too long: the gauges of the other questions are shown, and Postgres is not down."""
    with suppress(psycopg.errors.QueryCanceled):
        return connection.execute(question.sql.encode()).fetchall()
    return []
