"""Fills a database by SQL with jobs that have ended, and with all that belongs to them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from cli.local.commands import ROOT

_MIGRATION = ROOT / "alembic/versions/20261130_growth.sql"
_ITS_SUMS_BEGIN = "-- What is there already."

# As `shared.db.ids.new_id`: ten letters of milliseconds, then sixteen that differ.
_IDS = """
create function pg_temp.letters_of(at timestamptz) returns text language sql immutable as $$
    select string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',
        ((floor(extract(epoch from at) * 1000)::bigint >> (45 - 5 * place)) & 31)::int + 1, 1), '' order by place)
    from generate_series(0, 9) place
$$;
create function pg_temp.growth_id(prefix text, letters text, kind text, n bigint) returns text
language sql immutable as $$ select left(prefix || letters || md5(kind || n), length(prefix) + 26) $$
"""


@dataclass(frozen=True)
class Template:
    """Ids of rows that the API made, of which those of the benchmark are copies."""

    job: str
    file: str
    endpoint: str
    key: str


@dataclass(frozen=True)
class Period:
    """A time in the past: how long it lasted, and how long ago it ended."""

    lasted: timedelta
    ended: timedelta = timedelta(hours=1)


YEAR = Period(timedelta(days=365))


def fill(url: str, project_id: str, template: Template, jobs: int, batch: str, period: Period = YEAR) -> None:
    """Write this many jobs of the project over a period, 10 events each, and half as many files and models."""
    statements = Path(__file__).with_suffix(".sql").read_text()
    values = {"project": project_id, "jobs": jobs, "batch": batch, **vars(period), **vars(template)}
    with psycopg.connect(url) as connection:
        connection.execute(_IDS)
        cursor = psycopg.ClientCursor(connection)  # several statements at once, so the client fills in the values
        cursor.execute(statements, values)
        migration = _MIGRATION.read_text()
        connection.execute(migration[migration.index(_ITS_SUMS_BEGIN) :].encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def size_mb(url: str, table: str | None = None) -> float:
    """The size on disk of a table with its indexes, or of the whole database."""
    wanted = "pg_total_relation_size(%s::regclass)" if table else "pg_database_size(current_database())"
    with psycopg.connect(url) as connection:
        row = connection.execute(f"select {wanted}", [table] if table else None).fetchone()
    return row[0] / 1e6 if row else 0.0
