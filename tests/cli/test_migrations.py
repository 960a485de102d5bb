"""The command that writes migrations works on a database of its own, and the models have no change without one."""

import os
import subprocess
import time

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory

from cli.dev import migrations
from cli.local.commands import PYTHON, ROOT
from shared.db.revisions import known_revisions, newest_revision
from tests.world import variables_of_this_test


def test_the_models_have_nothing_that_the_migrations_lack() -> None:
    migrations.check()


def test_the_revisions_are_those_that_alembic_finds_and_one_is_the_newest() -> None:
    scripts = ScriptDirectory.from_config(Config(toml_file=str(ROOT / "pyproject.toml")))
    assert known_revisions() == {script.revision for script in scripts.walk_revisions()}
    assert [newest_revision()] == scripts.get_heads()


def test_a_migration_that_loses_a_deadlock_with_a_server_is_tried_again(clean: str, empty_database: str) -> None:
    """The migration after 4ee2aa2f028e locks stored_answers, then job_queues; the server reads them the other way."""
    environ = os.environ | variables_of_this_test() | {"DATABASE_URL": empty_database}
    subprocess.run([PYTHON, "-m", "alembic", "upgrade", "4ee2aa2f028e"], env=environ, cwd=ROOT, check=True)
    with psycopg.connect(empty_database) as server:
        server.execute("set deadlock_timeout = '1h'")  # the other one finds the deadlock, and loses
        server.execute("select from job_queues")
        migrate = subprocess.Popen([PYTHON, "-m", "cli", "migrate"], env=environ, cwd=ROOT, stderr=subprocess.PIPE)
        while server.execute("select from pg_locks where not granted").fetchone() is None:
            assert migrate.poll() is None
            time.sleep(0.02)
        server.execute("select from stored_answers")  # Waits until the migration is undone.
        server.rollback()
        _, said = migrate.communicate(timeout=100)
    assert migrate.returncode == 0, said.decode()
