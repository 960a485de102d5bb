"""The command that writes migrations works on a database of its own, and the models have no change without one."""

from cli.dev import migrations


def test_the_models_have_nothing_that_the_migrations_lack() -> None:
    migrations.check()
