"""Without the application's filters, Postgres alone separates the rows of projects."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import Session, SQLModel, select

from shared.database import transaction
from shared.db.owned import get_owned
from shared.db.row_security import across_projects, limit_to_project
from shared.db.tables import Table
from shared.errors import NotFound
from shared.projects import service as projects
from tests.world import as_owner, empty_tables

OWNER = {"projects": "id"}  # everywhere else it is `project_id`
TABLES = sorted({table.name for table in SQLModel.metadata.sorted_tables if "project_id" in table.columns} | {*OWNER})
BY_CREDENTIAL = ("job_queues", "watches")  # theirs are the projects that may use the credential
WITHOUT_PROJECT = {
    "alembic_version": "the revision of the schema",
    "organizations": "one row, which every project reads",
    "sweeps": "when the scheduler ran",
}
MODELS = sorted(
    (
        mapper.class_
        for mapper in SQLModel._sa_registry.mappers
        if "project_id" in mapper.columns and issubclass(mapper.class_, Table)
    ),
    key=lambda model: str(model.__name__),
)
VALUES = {
    "text": "x",
    "character varying": "x",
    "boolean": False,
    "jsonb": {},
    "timestamp with time zone": "now",
    "date": "today",
}
OWN_VALUES: dict[str, dict[str, Any]] = {}  # columns for which a table's checks require other values


@pytest.fixture(scope="module")
def two(server: str) -> Iterator[tuple[str, str]]:
    """The ids of two projects, each with one row in every table that belongs to projects."""
    with as_owner() as session:
        alices, bobs = (projects.create_project(session, name).id for name in ("alice's", "bob's"))
        session.execute(text("set local session_replication_role = replica"))  # without foreign keys
        for table in TABLES:
            for project_id in (alices, bobs):
                if table not in OWNER:
                    insert_row(session, table, project_id)
    yield alices, bobs
    empty_tables()


def insert_row(session: Session, table: str, project_id: str) -> None:
    """Insert a row with a value in each column that must not be null."""
    query = text(
        "select attname, format_type(atttypid, null) from pg_attribute where attrelid = cast(:table as regclass)"
        " and attnum > 0 and attnotnull and not attisdropped"
    )
    row = {column: VALUES.get(type, 0) for column, type in session.execute(query, {"table": table})}
    unique = {column: uuid4().hex for column, value in row.items() if value == "x"}
    row |= unique | OWN_VALUES.get(table, {}) | {OWNER.get(table, "project_id"): project_id}
    columns = ", ".join(row)  # not those that Postgres generates
    into = text(
        f"insert into {table} ({columns}) select {columns}"
        f" from jsonb_populate_record(null::{table}, cast(:row as jsonb))"
    )
    session.execute(into, {"row": json.dumps(row)})


def owners(session: Session, table: str) -> set[str | None]:
    return set(session.execute(text(f"select {OWNER.get(table, 'project_id')} from {table}")).scalars())


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_projects_has_its_policy(two: tuple[str, str], table: str) -> None:
    with transaction() as session:
        policy = text(
            "select relrowsecurity, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), polcmd,"
            " (select rolname from pg_roles where oid = any(polroles)) from pg_class"
            " left join pg_policy on polrelid = pg_class.oid and polname = 'project'"
            " where pg_class.oid = cast(:table as regclass)"
        )
        is_on, visible, writable, command, role = session.execute(policy, {"table": table}).one()
    own = f"({OWNER.get(table, 'project_id')})::text = NULLIF(current_setting('tunery.project'::text, true), ''::text)"
    assert (is_on, visible, writable) == (True, f"({own})", f"({own})"), "its migration lacks tunery_protect"
    assert (command, role) == ("*", "tunery_app")


def test_every_table_of_the_database_is_protected_or_belongs_to_no_project(two: tuple[str, str]) -> None:
    policies = (
        "select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not ("
        " relrowsecurity and exists (select from pg_policy where polrelid = pg_class.oid and polname = 'project'))"
    )
    with transaction() as session:
        open_tables = set(session.execute(text(policies)).scalars())
    assert open_tables == WITHOUT_PROJECT.keys(), "its migration lacks tunery_protect, or a policy by its parent"


@pytest.mark.parametrize("table", TABLES)
def test_a_query_without_a_filter_sees_only_the_projects_rows(two: tuple[str, str], table: str) -> None:
    with transaction() as session:
        assert owners(session, table) >= {*two}
    for project_id in two:
        with transaction(project_id) as session:
            assert owners(session, table) == {project_id}
    with transaction("") as session:
        assert owners(session, table) == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
def test_another_projects_row_is_not_found_by_its_id(two: tuple[str, str], model: Any) -> None:
    alices, bobs = two
    with transaction() as session:
        [hers] = session.exec(select(model.id).where(model.project_id == alices))
    with transaction(bobs) as session:
        assert session.get(model, hers) is None
        with pytest.raises(NotFound):
            get_owned(session, model, hers, alices)


@pytest.mark.parametrize("table", TABLES)
def test_another_projects_rows_cannot_be_changed_deleted_or_inserted(two: tuple[str, str], table: str) -> None:
    alices, bobs = two
    owner = OWNER.get(table, "project_id")
    touched: list[int] = []
    for sentence in (
        f"update {table} set {owner} = {owner} where {owner} = :hers",
        f"delete from {table} where {owner} = :hers",
        f"update {table} set {owner} = :hers",
        f"insert into {table} ({owner}) values (:hers)",
    ):
        try:
            with transaction(bobs) as session:
                touched.append(getattr(session.execute(text(sentence), {"hers": alices}), "rowcount", -1))
        except ProgrammingError as refused:
            assert "row-level security" in str(refused) or "permission denied" in str(refused)  # noqa: PT017
    assert set(touched) <= {0}
    assert len(touched) <= 2


def test_a_whole_row_for_another_project_is_refused(two: tuple[str, str]) -> None:
    alices, bobs = two
    with pytest.raises(ProgrammingError, match="row-level security"), transaction(bobs) as session:
        insert_row(session, "datasets", alices)


def test_rows_without_a_project_can_be_read(two: tuple[str, str]) -> None:
    with transaction(two[0]) as session:
        assert projects.the_organization(session).id
        assert projects.default_credential(session).base_url
        assert session.execute(text("select count(*) from job_queues")).scalar_one() >= 0


@pytest.mark.parametrize("table", ["api_keys", "organizations", "sweeps", "alembic_version"])
def test_a_projects_session_cannot_write_keys(two: tuple[str, str], table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), transaction(two[0]) as session:
        session.execute(text(f"delete from {table}"))


def test_a_table_can_share_rows_that_have_no_project(two: tuple[str, str]) -> None:
    with as_owner() as session:
        session.execute(text("create table shared_rows (project_id text)"))
        session.execute(text("select tunery_protect('shared_rows', shared => true)"))
        session.execute(text("insert into shared_rows values (null), (:hers), (:his)"), {"hers": two[0], "his": two[1]})
        limit_to_project(session, two[1])
        assert owners(session, "shared_rows") == {None, two[1]}
        assert getattr(session.execute(text("delete from shared_rows where project_id is null")), "rowcount", -1) == 0
        with pytest.raises(ProgrammingError, match="row-level security"), session.begin_nested():
            session.execute(text("insert into shared_rows values (null)"))
        session.rollback()


def role_and_project(session: Session) -> tuple[str, bool]:
    """Return the role of a session, and whether its project is set."""
    me, project = session.execute(text("select current_user, current_setting('tunery.project', true)")).one()
    return me, bool(project)


def test_a_connection_returns_to_the_pool_without_role_and_project(two: tuple[str, str]) -> None:
    with transaction() as session:
        before = role_and_project(session)
    with transaction(two[0]) as session:
        assert role_and_project(session) == ("tunery_app", True)
    with pytest.raises(DBAPIError), transaction(two[0]) as session:
        session.execute(text("select 1 / 0"))
    for _ in range(3):
        with transaction() as session:
            assert role_and_project(session) == before
    assert before[0] != "tunery_app"


def test_across_projects_ends_with_its_block(two: tuple[str, str]) -> None:
    with transaction(two[0]) as session:
        with across_projects(session):
            assert owners(session, "jobs") >= {*two}
        assert owners(session, "jobs") == {two[0]}
        with pytest.raises(NotFound), across_projects(session):
            projects.get_project(session, "proj_never")
        assert owners(session, "jobs") == {two[0]}


def test_a_session_can_be_limited_in_the_middle_of_a_transaction(two: tuple[str, str]) -> None:
    with transaction() as session:
        assert owners(session, "jobs") >= {*two}
        limit_to_project(session, two[1])
        assert owners(session, "jobs") == {two[1]}
