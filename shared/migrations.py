"""Reads and upgrades the schema's revision. Separate from `shared.database`: a worker starts faster without Alembic."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlmodel import Session

from shared.database import get_engine
from shared.errors import ServiceError

_LOCK = 7_186_837_679  # any number; the same in every process that migrates
_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


class UnknownRevision(ServiceError):
    """The database has a revision that is not among the migrations of this version."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database is at revision {revision}, which this version does not have: it was made before the first "
            "release or by a newer version, so migrate an empty database, or install the newer version "
            "(docs/operating.md)"
        )


def _config() -> Config:
    return Config(toml_file=str(_PYPROJECT))


def migrate() -> None:
    """Upgrades the schema to the newest revision. A second process waits until the first is done.

    Raises `UnknownRevision`.
    """
    with get_engine().connect() as lock:
        lock.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            _check_revision_is_known(lock)
            command.upgrade(_config(), "head")
        finally:
            lock.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})


def _check_revision_is_known(connection: Connection) -> None:
    current = _revision_of(connection)
    if current is not None and current not in known_revisions():
        raise UnknownRevision(current)


@cache
def known_revisions() -> frozenset[str]:
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


@cache
def newest_revision() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def current_revision(session: Session) -> str | None:
    """The revision that the database is at; None if it was never migrated."""
    return _revision_of(session.connection())


def _revision_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
