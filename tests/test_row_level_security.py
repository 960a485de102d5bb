"""The application's filters taken away: Postgres alone keeps one project's rows from another."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import Session, SQLModel, select

from api.auth import deps
from api.main import create_app
from shared.database import transaction
from shared.db.owned import get_owned
from shared.db.row_security import across_projects, limit_to_project
from shared.errors import NotFound
from shared.projects import service as projects
from shared.projects.models import Project
from tests.test_architecture import MODULES, name
from tests.world import empty_tables, variables_of_this_test

OWNER = {"projects": "id"}  # everywhere else it is `project_id`
TABLES = sorted({table.name for table in SQLModel.metadata.sorted_tables if "project_id" in table.columns} | {*OWNER})
MODELS = sorted(
    (mapper.class_ for mapper in SQLModel._sa_registry.mappers if "project_id" in mapper.columns),
    key=lambda model: str(model.__name__),
)
FILLED = {
    "text": "x",
    "character varying": "x",
    "boolean": False,
    "jsonb": {},
    "timestamp with time zone": "now",
    "date": "today",
}
NOT_SO_FILLED: dict[str, dict[str, Any]] = {}  # where a table's own checks ask for more: its columns

# Who works across projects, and why. Everybody else says whose rows a transaction is about.
ACROSS = {
    "api/audit/refusals.py _add": "whoever was refused may be nobody",
    "api/routes/organization/audit_logs.py _lines": "an admin exports the audit of all projects",
    "api/auth/deps.py _find": "whose key it is has yet to be found out",
    "api/streams/events.py poll": "finds the project of the key first, then limits the session to it",
    "api/auth/last_used.py write": "notes the use of one key, by its id; projects cannot write keys",
    "api/streams/feed.py _find": "one query for the streams of all projects; each stream gets its own job",
    "api/routes/provider_webhooks.py receive_provider_webhook": "whose job a provider tells of has yet to be found out",
    "api/routes/health.py _postgres": "asks for the schema's revision",
    "shared/jobs/tuned_models.py _is_of_somebody": "whether a name is another project's model",
    "shared/projects/service.py default_credential": "the row of the deployment's own account, when it is first needed",
    "shared/key_rotation/startup_check.py check_keys": "counts the keys with which anything is sealed",
    "shared/key_rotation/reseal.py reseal_all": "seals again what is everybody's",
    "worker/jobs/admission.py _held": "places are shared by all: how many are taken",
    "worker/jobs/admission.py _say_why": "the same: how many wait",
    "worker/app.py _prepare_for_children": "claims no row at all",
    "worker/runtime/scheduler.py note_sweep": "notes that a sweep was made, which is nobody's",
    "worker/runtime/scheduler.py _in_batches": "forgets what is old, of everybody",
    "worker/runtime/scheduler.py _reconcile": "accounts at providers belong to all",
    "worker/runtime/scheduler.py _known": "which bytes in the storage have a row, whoever's",
    "worker/runtime/scheduler.py tidy": "looks after all endpoints and keys",
    "worker/accounts/reconcile.py _adopt": "rings for a job, by its id",
    "worker/accounts/reconcile.py find": "compares all of an account with the rows of everybody",
    "worker/accounts/reconcile.py reconcile": "reads an account by its id",
    "worker/runtime/steps.py _is_due": "asks of a row whether it is due, before it is known whose it is",
    "worker/runtime/steps.py _postpone": "puts one row off, by its id",
    "worker/runtime/steps.py _put_off": "puts one row off, by its id",
    "worker/runtime/steps.py run_one": "claims among the rows of all; from the plan on only its own project is seen",
    "worker/runtime/sweep.py _put_back": "rings for the rows of all",
    "worker/runtime/sweep.py sweep": "rings for the rows of all",
    "worker/jobs/backpressure.py pause": "the deployment's own account is left alone by the jobs of all",
    "worker/datasets/upload_to_provider.py wake_waiting_jobs": "finds the file by its id, and is then narrowed",
    "worker/jobs/watch.py _tell_jobs": "rings for the jobs of an account, whoever's",
}


@pytest.fixture(scope="module")
def two(server: str) -> Iterator[tuple[str, str]]:
    """The ids of two projects, each with one row in every table that belongs to projects."""
    with transaction() as session:
        alices, bobs = (projects.create_project(session, name).id for name in ("alice's", "bob's"))
        session.execute(text("set local session_replication_role = replica"))  # without foreign keys
        for table in TABLES:
            for project_id in (alices, bobs):
                if table not in OWNER:
                    put(session, table, project_id)
    yield alices, bobs
    empty_tables()


def put(session: Session, table: str, project_id: str) -> None:
    """A row that has a value wherever one must be."""
    query = text(
        "select attname, format_type(atttypid, null) from pg_attribute where attrelid = cast(:table as regclass)"
        " and attnum > 0 and attnotnull and not attisdropped"
    )
    row = {column: FILLED.get(type, 0) for column, type in session.execute(query, {"table": table})}
    unique = {column: uuid4().hex for column, value in row.items() if value == "x"}
    row |= unique | NOT_SO_FILLED.get(table, {}) | {OWNER.get(table, "project_id"): project_id}
    into = text(f"insert into {table} select * from jsonb_populate_record(null::{table}, cast(:row as jsonb))")
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


@pytest.mark.parametrize("table", TABLES)
def test_without_any_filter_only_the_own_rows_are_there(two: tuple[str, str], table: str) -> None:
    with transaction() as session:
        assert owners(session, table) >= {*two}
    for project_id in two:
        with transaction(project_id) as session:
            assert owners(session, table) == {project_id}
    with transaction("") as session:
        assert owners(session, table) == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: str(model.__name__))
def test_a_row_is_not_got_by_its_id(two: tuple[str, str], model: Any) -> None:
    alices, bobs = two
    with transaction() as session:
        [hers] = session.exec(select(model.id).where(model.project_id == alices))
    with transaction(bobs) as session:
        assert session.get(model, hers) is None
        with pytest.raises(NotFound):
            get_owned(session, model, hers, alices)


@pytest.mark.parametrize("table", TABLES)
def test_a_row_of_another_project_is_neither_changed_nor_removed_nor_made(two: tuple[str, str], table: str) -> None:
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
        put(session, "datasets", alices)


def test_what_belongs_to_no_project_can_be_read(two: tuple[str, str]) -> None:
    with transaction(two[0]) as session:
        assert projects.the_organization(session).id
        assert projects.default_credential(session).base_url
        assert session.execute(text("select count(*) from job_queues")).scalar_one() >= 0


@pytest.mark.parametrize("table", ["api_keys", "organizations", "alembic_version"])
def test_nobody_makes_a_key_for_himself(two: tuple[str, str], table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), transaction(two[0]) as session:
        session.execute(text(f"delete from {table}"))


def test_rows_of_no_project_can_be_shared(two: tuple[str, str]) -> None:
    with transaction() as session:
        session.execute(text("create table shared_rows (project_id text)"))
        session.execute(text("select tunery_protect('shared_rows', shared => true)"))
        session.execute(text("insert into shared_rows values (null), (:hers), (:his)"), {"hers": two[0], "his": two[1]})
        limit_to_project(session, two[1])
        assert owners(session, "shared_rows") == {None, two[1]}
        assert getattr(session.execute(text("delete from shared_rows where project_id is null")), "rowcount", -1) == 0
        with pytest.raises(ProgrammingError, match="row-level security"), session.begin_nested():
            session.execute(text("insert into shared_rows values (null)"))
        session.rollback()


def who(session: Session) -> tuple[str, bool]:
    """As whom a session works, and whether its project is set."""
    me, project = session.execute(text("select current_user, current_setting('tunery.project', true)")).one()
    return me, bool(project)


def test_a_connection_goes_back_to_the_pool_as_it_came(two: tuple[str, str]) -> None:
    with transaction() as session:
        before = who(session)
    with transaction(two[0]) as session:
        assert who(session) == ("tunery_app", True)
    with pytest.raises(DBAPIError), transaction(two[0]) as session:
        session.execute(text("select 1 / 0"))
    for _ in range(3):
        with transaction() as session:
            assert who(session) == before
    assert before[0] != "tunery_app"


def test_a_question_about_all_projects_is_over_with_its_block(two: tuple[str, str]) -> None:
    with transaction(two[0]) as session:
        with across_projects(session):
            assert owners(session, "jobs") >= {*two}
        assert owners(session, "jobs") == {two[0]}
        with pytest.raises(NotFound), across_projects(session):
            projects.get_project(session, "proj_never")
        assert owners(session, "jobs") == {two[0]}


def test_a_transaction_is_narrowed_from_the_middle_on(two: tuple[str, str]) -> None:
    with transaction() as session:
        assert owners(session, "jobs") >= {*two}
        limit_to_project(session, two[1])
        assert owners(session, "jobs") == {two[1]}


def callers_across() -> Iterator[str]:
    """Where a transaction is opened without a project, or looks beyond its own."""
    for path in MODULES:
        if name(path).startswith(("api/", "worker/", "shared/")):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    called = [ast.unparse(each) for each in ast.walk(function) if isinstance(each, ast.Call)]
                    if "transaction()" in called or any(each.startswith("across_projects(") for each in called):
                        yield f"{name(path)} {function.name}"


def test_who_works_across_projects_is_listed_here() -> None:
    assert set(callers_across()) - ACROSS.keys() == set(), "say whose rows it is about, or here why it cannot"
    assert ACROSS.keys() - set(callers_across()) == set()


def routes() -> Iterator[APIRoute]:
    for route in create_app().routes:
        for each in [*getattr(route, "effective_candidates", list)()] or [route]:
            if isinstance(found := getattr(each, "original_route", each), APIRoute):
                yield found


def calls(dependant: Dependant) -> set[Any]:
    return {dependant.call}.union(*(calls(each) for each in dependant.dependencies))


def test_only_an_admin_key_opens_a_session_across_projects(server: str) -> None:
    found = {route.path: calls(route.dependant) for route in routes()}
    assert len(found) > 20
    across = {path for path, each in found.items() if deps.get_organization_session in each}
    narrowed = {path for path, each in found.items() if deps.get_session in each}
    assert {path for path in across if deps.get_admin not in found[path]} == set()
    assert {path for path in narrowed if deps.get_caller not in found[path]} == set()
    assert across & narrowed == set()


@pytest.fixture
def plain_owner(server: str) -> Iterator[str]:
    """The address of an empty database, whose owner has no privileges at all, as where somebody else runs Postgres."""
    url = make_url(variables_of_this_test()["DATABASE_URL"])
    user = f"plain_{os.getpid()}"
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as admin:
        admin.execute(text(f"create role {user} login password 'plain'"))
        admin.execute(text(f"create database {user} owner {user}"))
        yield url.set(username=user, password="plain", database=user).render_as_string(hide_password=False)
        admin.execute(text(f"drop database {user} with (force)"))
        admin.execute(text(f"drop role {user}"))


def test_an_owner_without_privileges_is_told_what_it_needs_and_then_works(plain_owner: str) -> None:
    said = migrate(plain_owner)
    assert "GRANT tunery_app TO plain_" in said
    assert "Traceback" not in said
    url = make_url(plain_owner)
    with transaction() as session:
        session.execute(text(f"grant tunery_app to {url.username}"))
    assert "The database is at revision" in migrate(plain_owner)
    with create_engine(url, poolclass=NullPool).begin() as owner, Session(owner) as session:
        alices, bobs = (projects.create_project(session, name).id for name in ("alice's", "bob's"))
        session.flush()
        assert len(session.exec(select(Project)).all()) == 2
        limit_to_project(session, bobs)
        assert [project.id for project in session.exec(select(Project))] == [bobs]
        assert session.get(Project, alices, populate_existing=True) is None


def migrate(database_url: str) -> str:
    environ = {**os.environ, **variables_of_this_test(), "DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "migrate"],
        env=environ,
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr
