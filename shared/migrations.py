"""Which schema the database has, and how it gets the newest. Of its own: a worker, started often, needs no Alembic."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlmodel import Session

from shared.database import get_engine

_LOCK = 7_186_837_679  # any number; the same in every process that migrates
_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def _config() -> Config:
    return Config(toml_file=str(_PYPROJECT))


def migrate() -> None:
    """Bring the schema to the newest revision. Several at once wait for each other."""
    with get_engine().connect() as lock:
        lock.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            command.upgrade(_config(), "head")
        finally:
            lock.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})


@cache
def newest_revision() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(session: Session) -> str | None:
    return MigrationContext.configure(session.connection()).get_current_revision()
