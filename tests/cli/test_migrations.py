"""The command that writes migrations works on a database of its own, and the models have no change without one."""

from alembic.config import Config
from alembic.script import ScriptDirectory

from cli.dev import migrations
from cli.local.commands import ROOT
from shared.db.revisions import known_revisions, newest_revision


def test_the_models_have_nothing_that_the_migrations_lack() -> None:
    migrations.check()


def test_the_revisions_are_those_that_alembic_finds_and_one_is_the_newest() -> None:
    scripts = ScriptDirectory.from_config(Config(toml_file=str(ROOT / "pyproject.toml")))
    assert known_revisions() == {script.revision for script in scripts.walk_revisions()}
    assert [newest_revision()] == scripts.get_heads()
