"""The command that writes migrations works on a database of its own, and the models have no change without one."""

import ast
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from cli.dev import migrations
from cli.local.commands import PYTHON, ROOT
from shared.db.revisions import known_revisions, newest_revision
from tests.world import variables_of_this_test

pytestmark = pytest.mark.timeout(400)  # more than `migrate` tries to lock a table for


def test_the_models_have_nothing_that_the_migrations_lack() -> None:
    migrations.check()


def test_the_revisions_are_those_that_alembic_finds_and_one_is_the_newest() -> None:
    scripts = ScriptDirectory.from_config(Config(toml_file=str(ROOT / "pyproject.toml")))
    assert known_revisions() == {script.revision for script in scripts.walk_revisions()}
    assert [newest_revision()] == scripts.get_heads()


@pytest.mark.parametrize("path", sorted((ROOT / "alembic" / "versions").glob("*.py")), ids=lambda path: path.stem)
def test_a_migration_that_is_tried_again_finds_nothing_half_done(path: Path) -> None:
    """An autocommit block commits what stands before it, and only the end of the migration is written down."""
    [upgrade] = [each for each in ast.parse(path.read_text()).body if getattr(each, "name", "") == "upgrade"]
    statements = [ast.unparse(each) for each in getattr(upgrade, "body", [])]
    assert all("autocommit_block" not in each for each in statements[1:])


def upgraded(database: str, revision: str) -> dict[str, str]:
    """Brings the database to this revision; the variables of a process that works on it."""
    environ = os.environ | variables_of_this_test() | {"DATABASE_URL": database}
    subprocess.run([PYTHON, "-m", "alembic", "upgrade", revision], env=environ, cwd=ROOT, check=True)
    return environ


@contextmanager
def migrating(environ: dict[str, str], server: psycopg.Connection[Any]) -> Iterator[None]:
    """The block begins while the migration waits for a table, as `server` sees; after it the migration succeeds."""
    migrate = subprocess.Popen([PYTHON, "-m", "cli", "migrate"], env=environ, cwd=ROOT, stderr=subprocess.PIPE)
    while server.execute("select from pg_locks where not granted and locktype = 'relation'").fetchone() is None:
        assert migrate.poll() is None
        time.sleep(0.02)
    yield
    _, said = migrate.communicate(timeout=100)
    assert migrate.returncode == 0, said.decode()


def test_a_migration_that_loses_a_deadlock_with_a_server_is_tried_again(clean: str, empty_database: str) -> None:
    """The migration after 4ee2aa2f028e locks stored_answers, then job_queues; the server reads them the other way."""
    environ = upgraded(empty_database, "4ee2aa2f028e")
    with psycopg.connect(empty_database) as server:
        server.execute("set deadlock_timeout = '1h'")  # the other one finds the deadlock, and loses
        server.execute("select from job_queues")
        with migrating(environ, server):
            server.execute("select from stored_answers")  # Waits until the migration is undone.
            server.rollback()


def test_requests_go_on_while_a_migration_waits_for_a_long_transaction(clean: str, empty_database: str) -> None:
    """The migration after 2f6d0c94b1e8 locks tuned_models, which a backup reads."""
    environ = upgraded(empty_database, "2f6d0c94b1e8")
    with psycopg.connect(empty_database) as backup, psycopg.connect(empty_database, autocommit=True) as server:
        backup.execute("lock table tuned_models in access share mode")
        with migrating(environ, server):
            server.execute("set statement_timeout = '100s'")
            server.execute("select from tuned_models")  # Without a limit it would wait for the backup's end.
            backup.rollback()


def test_a_migration_that_cannot_lock_its_tables_names_who_holds_them(clean: str, empty_database: str) -> None:
    environ = upgraded(empty_database, "2f6d0c94b1e8")
    at_once = "from shared import migrations; migrations.migrate(patience=0)"
    with psycopg.connect(empty_database, application_name="a backup") as backup:
        backup.execute("lock table tuned_models in access share mode")
        failed = subprocess.run([PYTHON, "-c", at_once], env=environ, cwd=ROOT, capture_output=True, text=True)
        assert f"the oldest one process {backup.info.backend_pid} (a backup) since 20" in failed.stderr
