"""Measures what retention leaves of a year of 100,000 jobs and a million events, and whether anybody can notice it.

`python -m benchmarks.growth.year [--jobs 100000]`

The rows are those of `benchmarks.growth`, written month by month. After each month the scheduler's own `forget` runs in
rounds, as in the beat, with retention by default; the pauses between its rounds are counted and not waited for. To it
the month has just ended: it gets a retention that is longer by as much as the month ended before now. A job of the
benchmark has 8 points, of which 4 are to be left. Then Postgres vacuums, as its own autovacuum would.
"""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from sqlalchemy import event

from benchmarks.growth.__main__ import TABLES, Bench, Row
from benchmarks.growth.filling import Period, size_mb
from benchmarks.stack import measured_stack, print_table
from shared.database import get_engine
from shared.settings import get_settings
from worker.runtime import scheduler

MONTHS = 12
MONTH = timedelta(days=365) / MONTHS
WEBHOOKS, METRICS = timedelta(days=30), timedelta(days=90)
POINTS_LEFT = 4
LONG_CURVES, LONG_CURVE_STEPS = 2, 100_000
LONGEST_SECONDS = 0.5
_LONG_CURVES = """
with longest as (
    update jobs set metrics_thinned_at = null where id in (
        select id from jobs where finished_at < now() - interval '200 days' order by id limit %(jobs)s
    ) returning id, project_id, finished_at
)
insert into job_events (id, created_at, project_id, job_id, provider_event_id, level, type, message, data)
select 'ftevent-' || right(longest.id, 19) || to_char(step, 'FM0000000'), finished_at, project_id, longest.id,
    'long-' || step, 'info', 'metrics', 'Step ' || step, jsonb_build_object('step', step, 'train_loss', 1.0 / step)
from longest, generate_series(1, %(steps)s) step
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    jobs = parser.parse_args().jobs
    with measured_stack(TUNERY_LOG_LEVEL="warning") as stack:
        bench = Bench(stack)
        os.environ.update(stack.environ)
        forgetting = Forgetting()
        _pass_a_year(bench, jobs, forgetting)
        rows = _sizes(bench) + forgetting.rows("the year") + _thin_long_curves(bench)
    print_table(rows)


class Forgetting:
    """Runs `forget` until nothing is left, and keeps how long its transactions and rounds took, in seconds."""

    def __init__(self) -> None:
        self.transactions: list[float] = []
        self.rounds: list[float] = []

    def run(self, ago: timedelta) -> None:
        """Forget what was old then."""
        os.environ["TUNERY_WEBHOOK_RETENTION"] = f"{(WEBHOOKS + ago).total_seconds():.0f}"
        os.environ["TUNERY_RETENTION__METRICS"] = f"{(METRICS + ago).total_seconds():.0f}"
        os.environ["TUNERY_RETENTION__METRICS_POINTS"] = f"{POINTS_LEFT}"
        get_settings.cache_clear()
        is_more = True
        with _timed_transactions(self.transactions):
            while is_more:
                started = time.monotonic()
                is_more = scheduler.forget()
                self.rounds.append(time.monotonic() - started)

    def rows(self, of: str) -> list[Row]:
        pauses = scheduler.FORGET_AGAIN_AFTER.total_seconds() * len(self.rounds)
        return [
            (f"{of}: longest transaction", f"≤ {LONGEST_SECONDS} s", f"{max(self.transactions):.2f} s"),
            (f"{of}: longest round", f"≤ {2 * LONGEST_SECONDS} s", f"{max(self.rounds):.2f} s"),
            (f"{of}: transactions", "-", f"{len(self.transactions):,} in {sum(self.transactions):.0f} s"),
            (f"{of}: rounds", "-", f"{len(self.rounds):,} in {sum(self.rounds):.0f} s, and {pauses:.0f} s of pauses"),
        ]


@contextmanager
def _timed_transactions(took: list[float]) -> Iterator[None]:
    """Each transaction has a connection for as long as it lasts, and there is one at a time."""
    engine, began = get_engine(), 0.0

    def begin(*_: Any) -> None:
        nonlocal began
        began = time.monotonic()

    def end(*_: Any) -> None:
        took.append(time.monotonic() - began)

    event.listen(engine, "checkout", begin)
    event.listen(engine, "checkin", end)
    try:
        yield
    finally:
        event.remove(engine, "checkout", begin)
        event.remove(engine, "checkin", end)


def _pass_a_year(bench: Bench, jobs: int, forgetting: Forgetting) -> None:
    for month in range(MONTHS):
        ago = MONTH * (MONTHS - 1 - month)
        bench.fill(jobs // MONTHS, f"month {month} ", Period(MONTH, timedelta(hours=1) + ago))
        forgetting.run(ago)
        _as_owner(bench, "vacuum analyze")
        print(f"month {month + 1}: {size_mb(bench.url):,.0f} MB", flush=True)


def _sizes(bench: Bench) -> list[Row]:
    """Of the tables and of the whole database, as they are and after VACUUM FULL."""
    names = [*TABLES, None]
    now = [size_mb(bench.url, name) for name in names]
    _as_owner(bench, "vacuum full")
    least = [size_mb(bench.url, name) for name in names]
    return [
        (f"size of {name or 'the database'}", "-", f"{size:,.0f} MB, {full:,.0f} after VACUUM FULL")
        for name, size, full in zip(names, now, least, strict=True)
    ]


def _thin_long_curves(bench: Bench) -> list[Row]:
    with psycopg.connect(bench.url) as connection:
        connection.execute(_LONG_CURVES, {"jobs": LONG_CURVES, "steps": LONG_CURVE_STEPS})
    forgetting = Forgetting()
    forgetting.run(timedelta(0))
    return forgetting.rows(f"{LONG_CURVES} curves of {LONG_CURVE_STEPS:,} steps")


def _as_owner(bench: Bench, statement: LiteralString) -> None:
    with psycopg.connect(bench.url, autocommit=True) as connection:
        connection.execute("set lock_timeout = '30s'")
        connection.execute(statement)


if __name__ == "__main__":
    main()
