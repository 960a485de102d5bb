"""The servers' login reads and writes rows, and can do nothing else in the database."""

import json
import os
from collections.abc import Iterator

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session

from shared.database import transaction
from shared.db.server_role import rights_on
from shared.settings import get_settings
from tests.test_row_security_owner import migrate
from tests.world import Person, as_owner

RIGHTS = """select relname, array(select right_ from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE',
    'REFERENCES', 'TRIGGER']) right_ where has_table_privilege(c.oid, right_))
    from pg_class c where relkind in ('r', 'p') and relnamespace = current_schema()::regnamespace"""
OWNED = "select count(*) from pg_class where pg_has_role(current_user, relowner, 'USAGE')"
POWERS = (
    "select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication"
    " or has_schema_privilege(rolname, current_schema(), 'CREATE') from pg_roles where rolname = current_user"
)
FORBIDDEN = (
    "truncate jobs",
    "create table another (id int)",
    "drop table jobs",
    "alter table jobs disable row level security",
    "alter table audit_logs disable trigger all",
    "drop policy server on jobs",
    "delete from audit_logs",
    "update audit_logs set count = 2",
    "update audit_chains set entries = 0",
    "update ledger_entries set amount = 0",
    "update alembic_version set version_num = ''",
    "set session_replication_role = replica",
    "create role another",
)


@pytest.fixture
def owners_url(server: str) -> str:
    return get_settings().migration_database_url or ""


def test_it_owns_nothing_and_has_only_the_rights_of_its_role(server: str) -> None:
    with transaction() as session:
        assert session.execute(text(OWNED)).scalar_one() == 0
        assert session.execute(text(POWERS)).scalar_one() is False
        found = {name: frozenset(rights) for name, rights in session.execute(text(RIGHTS))}
    assert len(found) > 30
    assert found == {name: rights_on(name) for name in found}


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_it_may_not_change_the_schema_or_the_history(server: str, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction() as session:
        session.execute(text(statement))


def test_every_protected_table_shows_it_the_rows_of_all_projects(server: str) -> None:
    lacking = (
        "select relname from pg_class c where relrowsecurity and not exists (select from pg_policy"
        " where polrelid = c.oid and polname = 'server' and pg_get_expr(polqual, polrelid) = 'true')"
    )
    with transaction() as session:
        assert session.execute(text(lacking)).scalars().all() == []


def test_its_policy_leaves_conditions_to_indexes(alice: Person) -> None:
    """`@>` is not leakproof: under the policy of a project it is no index condition."""
    with as_owner() as session:
        session.execute(text("create index labels_of_a_test on jobs using gin (labels)"))
    try:
        with transaction() as session:
            session.execute(text("set local enable_seqscan = off"))
            assert "labels_of_a_test" in plan(session, 'select id from jobs where labels @> \'{"a": "b"}\'')
    finally:
        with as_owner() as session:
            session.execute(text("drop index labels_of_a_test"))


def plan(session: Session, query: str) -> str:
    return json.dumps(session.connection().exec_driver_sql(f"explain (format json) {query}").scalar_one())


@pytest.fixture
def of_one_login(owners_url: str) -> Iterator[str]:
    """The URL of an empty database, for a login that is its owner and may make roles; yields that URL."""
    url, user = make_url(owners_url), f"single_{os.getpid()}"
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as admin:
        admin.execute(text(f"create role {user} login createrole password 'single'"))
        admin.execute(text(f"grant tunery_app, tunery_server to {user} with admin option"))
        admin.execute(text(f"create database {user} owner {user}"))
        yield url.set(username=user, password="single", database=user).render_as_string(hide_password=False)
        admin.execute(text(f"drop database {user} with (force)"))
        admin.execute(text(f"drop role if exists {user}_servers"))
        admin.execute(text(f"drop role {user}"))


def test_an_installation_with_one_login_goes_on_and_can_be_separated_later(of_one_login: str) -> None:
    assert "The database is at revision" in migrate(of_one_login)
    single = make_url(of_one_login)
    servers = single.set(username=f"{single.username}_servers", password="new").render_as_string(hide_password=False)
    assert "The database is at revision" in migrate(servers, owner=of_one_login)
    with create_engine(servers, poolclass=NullPool).connect() as login:
        assert login.execute(text(OWNED)).scalar_one() == 0
        assert login.execute(text("select count(*) from organizations")).scalar_one() == 1
        with pytest.raises(ProgrammingError, match="permission denied"):
            login.execute(text("truncate jobs"))
