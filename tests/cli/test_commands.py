"""The `tunery` command as an operator meets it: sentences instead of tracebacks, data on stdout, and exit codes."""

import ast
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from cli.local import commands
from shared.database import transaction
from shared.projects import callers
from shared.settings import get_settings
from tests.world import variables_of_this_test

SETTINGS = ("DATABASE_URL", "REDIS_URL", "TUNERY_")


def tunery(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    command = [commands.PYTHON, "-m", "cli", *arguments]
    return subprocess.run(command, env=bare | environ, cwd=commands.ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["api", "worker", "sender", "beat", "migrate"])
def test_missing_settings_are_all_named(command: str) -> None:
    said = tunery(command, REDIS_URL="redis://127.0.0.1:1")
    assert said.returncode == 1
    assert "DATABASE_URL: required, but not set." in said.stderr
    assert "TUNERY_PROVIDER__BASE_URL and TUNERY_PROVIDER__API_KEY: required, but not set." in said.stderr
    assert "REDIS_URL" not in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.usefixtures("as_admin")
def test_a_new_projects_key_is_the_only_thing_on_stdout_and_works() -> None:
    said = tunery("project", "create", "search")
    with transaction() as session:
        caller = callers.authenticate(session, said.stdout.strip())
    assert caller.project_id in said.stderr


@pytest.mark.usefixtures("as_admin")
def test_a_project_without_a_name_is_refused_with_a_sentence() -> None:
    said = tunery("project", "create", " ")
    assert (said.returncode, said.stdout) == (1, "")
    assert "name must have 1 to 64 characters" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.usefixtures("clean")
def test_migrating_what_is_migrated_changes_nothing() -> None:
    assert "The database is at revision" in tunery("migrate", **variables_of_this_test()).stdout


def calls_of(node: ast.AST, name: str) -> list[ast.Call]:
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == name]


def columns_added_later() -> set[tuple[str, str]]:
    """Those that a migration adds to a table that exists, as `(table, column)`."""
    migrations = [ast.parse(file.read_text()) for file in (commands.ROOT / "alembic/versions").glob("*.py")]
    return {
        (ast.literal_eval(added.args[0]), ast.literal_eval(calls_of(added, "Column")[0].args[0]))
        for migration in migrations
        for added in calls_of(migration, "add_column")
    }


@pytest.mark.usefixtures("server")
def test_a_process_of_the_version_before_can_still_write_after_a_migration() -> None:
    required = text(
        "select table_name, column_name from information_schema.columns where table_schema = 'public'"
        " and is_nullable = 'NO' and column_default is null and table_name <> 'alembic_version'"
    )
    with transaction() as session:
        found = {(table, column) for table, column in session.execute(required)}
    assert found & columns_added_later() == set(), "a column that is added later needs a server_default that stays"


@pytest.fixture
def database_of_before(server: str) -> Iterator[str]:
    """The address of a database at a revision that no migration has."""
    url = make_url(get_settings().migration_database_url or "")
    name = f"of_before_{os.getpid()}"
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as admin:
        admin.execute(text(f"create database {name}"))
        with create_engine(url.set(database=name), poolclass=NullPool).begin() as owner:
            owner.execute(text("create table alembic_version as select '0020' as version_num"))
        yield url.set(database=name).render_as_string(hide_password=False)
        admin.execute(text(f"drop database {name} with (force)"))


def test_a_database_of_a_revision_that_is_not_known_is_a_sentence(database_of_before: str) -> None:
    said = tunery("migrate", **variables_of_this_test() | {"DATABASE_URL": database_of_before})
    assert said.returncode == 1
    assert said.stderr.startswith("The database is at revision 0020, which this version does not have")
    assert "migrate an empty database" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.usefixtures("clean")
def test_a_database_that_does_not_answer_is_a_sentence() -> None:
    nowhere = "postgresql://tunery:secret@127.0.0.1:1/tunery"
    said = tunery("migrate", "--wait", "0", **variables_of_this_test() | {"DATABASE_URL": nowhere})
    assert said.returncode == 1
    assert said.stderr.startswith("The database of DATABASE_URL does not answer")
    assert "Traceback" not in said.stderr


@pytest.mark.usefixtures("clean")
def test_a_migration_that_waits_for_the_database_says_so_at_once() -> None:
    nowhere = "postgresql://tunery:secret@127.0.0.1:1/tunery"
    said = tunery("migrate", "--wait", "1", **variables_of_this_test() | {"DATABASE_URL": nowhere})
    assert said.returncode == 1
    assert said.stderr.count("The database of DATABASE_URL does not answer") == 2
    assert "It is tried again for up to 1 s …" in said.stderr
    assert "secret" not in said.stderr


@pytest.mark.usefixtures("clean")
def test_a_command_in_a_database_without_tables_names_the_one_to_run_first(postgres_url: str) -> None:
    empty = make_url(postgres_url).set(database="template1").render_as_string(hide_password=False)
    said = tunery("admin-key", "list", **variables_of_this_test() | {"DATABASE_URL": empty})
    assert said.returncode == 1
    assert said.stderr == "The database has not the schema of this version: run `./tunery migrate`.\n"


@pytest.mark.usefixtures("clean")
def test_an_address_that_cannot_be_had_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = tunery("api", PORT=port, **variables_of_this_test())
    assert (said.returncode, said.stderr) == (
        1,
        f"Nobody can listen at 127.0.0.1:{port}: Address already in use. Name another address in HOST or PORT.\n",
    )
    said = tunery("api", "--host", "no such host", "--port", "0", **variables_of_this_test())
    assert said.stderr.startswith("Nobody can listen at no such host:0: ")


def test_an_unknown_command_is_a_usage_error() -> None:
    assert tunery("demmo").returncode == 2
