"""Postgres: does it answer, has it the schema and the roles that the servers need, does its clock agree with ours."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg

from cli.doctor import connections
from cli.doctor.result import Result, fail, ok, warn
from shared.db.revisions import known_revisions, newest_revision
from shared.db.server_role import PROJECT_ROLE, rights_on
from shared.settings import get_settings

CONNECT_SECONDS = 4
STATEMENT_MILLISECONDS = 4000
OLDEST, NEWEST = 16, 18
MAX_SKEW_SECONDS = 2.0
ROLE = PROJECT_ROLE
ROLES_PAGE = "docs/deploying.md, Roles"

_UNPROTECTED = """select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'project_id'
    where c.relkind = 'r' and n.nspname = current_schema() and not c.relrowsecurity order by 1"""
# Of each table: whether the login has the rights of its owner, and which rights it has in it.
_RIGHTS = """select relname, pg_has_role(current_user, relowner, 'USAGE'),
    array(select right_ from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) right_
        where has_table_privilege(c.oid, right_))
    from pg_class c where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace order by 1"""
_ME = "select rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user"
_LARGEST = """select c.relname, c.reltuples::bigint, pg_total_relation_size(c.oid) from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname = current_schema() order by 3 desc limit 5"""
_SWEEP = "select extract(epoch from now() - max(swept_at)) from sweeps"


def check() -> Iterator[Result]:
    url = get_settings().database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    options = f"-c statement_timeout={STATEMENT_MILLISECONDS}"
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True, options=options) as connection:
            yield _version(connection)
            yield from _schema(connection)
            yield from _roles(connection)
            yield connections.check(connection)
            yield _clock(connection)
            yield _largest_tables(connection)
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        yield fail("database", f"does not answer: {reason}", "Start Postgres, or correct DATABASE_URL.")


def _version(connection: psycopg.Connection[Any]) -> Result:
    major = connection.info.server_version // 10_000
    found = f"Postgres {major} answers at {connection.info.host}:{connection.info.port}"
    if major < OLDEST:
        return fail("database", found, f"Use Postgres {OLDEST} to {NEWEST}.")
    return ok("database", found) if major <= NEWEST else warn("database", found, f"{OLDEST} to {NEWEST} are tested.")


def _schema(connection: psycopg.Connection[Any]) -> Iterator[Result]:
    newest = newest_revision()
    there = connection.execute("select to_regclass('alembic_version')").fetchone()
    row = connection.execute("select version_num from alembic_version").fetchone() if there and there[0] else None
    if row is None:
        yield fail("schema", "the database is not migrated", "Run `./tunery migrate`.")
    elif row[0] == newest:
        yield ok("schema", f"at revision {newest}, the newest")
        yield _scheduler(connection)
    elif row[0] in known_revisions():
        yield fail("schema", f"at revision {row[0]}, this version needs {newest}", "Run `./tunery migrate`.")
    else:
        yield fail("schema", f"at revision {row[0]}, which this version does not have", "Install the newer version.")


def _scheduler(connection: psycopg.Connection[Any]) -> Result:
    row = connection.execute(_SWEEP).fetchone()
    if row is None or row[0] is None:
        return warn("scheduler", "none has ever run", "Start `./tunery beat`.")
    if row[0] > 30:
        return warn("scheduler", f"has not swept for {row[0]:.0f} s", "Start `./tunery beat`.")
    return ok("scheduler", f"swept {row[0]:.0f} s ago")


def _roles(connection: psycopg.Connection[Any]) -> Iterator[Result]:
    me = connection.execute(_ME).fetchone()
    role = connection.execute("select 1 from pg_roles where rolname = %s", (ROLE,)).fetchone()
    name, is_superuser, bypasses = me or ("?", False, False)
    if role is None:
        yield fail("roles", f"there is no role {ROLE}", f"Run `./tunery migrate`, or see {ROLES_PAGE}.")
        return
    member = connection.execute("select pg_has_role(current_user, %s, 'MEMBER')", (ROLE,)).fetchone()
    unprotected = [table for (table,) in connection.execute(_UNPROTECTED).fetchall()]
    if member is None or not member[0]:
        yield fail("roles", f"{name} may not take the role {ROLE}", f"GRANT {ROLE} TO {name}; see {ROLES_PAGE}.")
    elif unprotected:
        yield fail("roles", f"no row-level security on {', '.join(unprotected)}", "Run `./tunery migrate`.")
    elif is_superuser or bypasses:
        yield warn(
            "roles",
            f"{name} is a superuser, which can switch row-level security off",
            f"Give the servers a login of their own ({ROLES_PAGE}).",
        )
    else:
        yield from _rights(connection, name)


def _rights(connection: psycopg.Connection[Any], name: str) -> Iterator[Result]:
    rows = [(table, owns, frozenset(rights)) for table, owns, rights in connection.execute(_RIGHTS).fetchall()]
    missing = [table for table, _, rights in rows if not rights_on(table) <= rights]
    beyond = [table for table, _, rights in rows if not rights <= rights_on(table)]
    if any(owns for _, owns, _ in rows):
        yield warn(
            "roles",
            f"{name} owns the tables: a server that is taken over can change triggers, policies and the audit log",
            f"Give the servers a login of their own ({ROLES_PAGE}).",
        )
    elif missing:
        yield fail("roles", f"{name} lacks rights on {', '.join(missing)}", "Run `./tunery migrate`.")
    elif beyond:
        advice = f"Revoke what the role tunery_server does not have ({ROLES_PAGE})."
        yield warn("roles", f"{name} has more rights than it needs on {', '.join(beyond)}", advice)
    else:
        yield ok("roles", f"{name} owns nothing and takes the role {ROLE} for each caller; all tables are protected")


def _largest_tables(connection: psycopg.Connection[Any]) -> Result:
    """Sizes with indexes. Postgres estimates the rows when it vacuums; below 0 it never has."""
    rows = connection.execute(_LARGEST).fetchall()
    named = [f"{name} {size / 1e6:,.0f} MB" + (f" (~{rows:,} rows)" if rows > 0 else "") for name, rows, size in rows]
    return ok("tables", f"the largest are {', '.join(named)}" if named else "there are none")


def _clock(connection: psycopg.Connection[Any]) -> Result:
    before = time.time()
    row = connection.execute("select extract(epoch from clock_timestamp())").fetchone()
    after = time.time()
    theirs = float(row[0]) if row else before
    skew = max(before - theirs, theirs - after, 0.0)
    found = f"{skew:.1f} s apart from the database's"
    advice = "Synchronise the clocks of this host and the database's (NTP): leases and expiries depend on them."
    return ok("clock", found) if skew <= MAX_SKEW_SECONDS else fail("clock", found, advice)
