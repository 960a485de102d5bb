"""Upgrades the schema, and grants the servers their rights in it.

Separate from `shared.database`: a server starts faster, and needs less memory, without Alembic.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg.errors import DeadlockDetected
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import OperationalError

from shared.database import owner_engine
from shared.db import server_role
from shared.db.revisions import current_revision, known_revisions
from shared.errors import ServiceError
from shared.settings import get_settings

_LOCK = 7_186_837_679  # any number; the same in every process that migrates
_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
_DEADLOCKS = 10  # in one upgrade, before it gives up


class UnknownRevision(ServiceError):
    """The database has a revision that is not among the migrations of this version."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"The database is at revision {revision}, which this version does not have: it was made before the first "
            "release or by a newer version, so migrate an empty database, or install the newer version "
            "(docs/operating.md)"
        )


class CannotSeparateLogins(ServiceError):
    """The owner may not give the servers' login its rights."""

    def __init__(self, login: str, statements: str) -> None:
        super().__init__(
            f"The schema is up to date, but the owner may not let {login}, the login of DATABASE_URL, work in it: let "
            f"an administrator run {statements}; and migrate again (docs/deploying.md, Roles)"
        )


def migrate() -> None:
    """Upgrades the schema to the newest revision, and grants the servers' login what it needs in each table.

    A second process waits until the first is done. Raises `UnknownRevision` and `CannotSeparateLogins`.
    """
    with owner_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        # Tried again and again: a statement that waited for the lock would hold a snapshot, for whose end an index that
        # is made CONCURRENTLY waits, so that both would wait for ever.
        while not owner.scalar(text("select pg_try_advisory_lock(:key)"), {"key": _LOCK}):
            owner.execute(text("select pg_sleep(0.2)"))
        try:
            _check_revision_is_known(owner)
            _upgrade()
            _grant_rights(owner)
        finally:
            owner.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})


def _upgrade() -> None:
    """Servers that run read several tables in one statement, in another order than a migration locks them."""
    for _ in range(_DEADLOCKS):
        try:
            return command.upgrade(Config(toml_file=str(_PYPROJECT)), "head")
        except OperationalError as error:  # the migration was undone, those before it were committed
            if not isinstance(error.orig, DeadlockDetected):
                raise
            deadlock = error
    raise deadlock


def _grant_rights(owner: Connection) -> None:
    """With one login for everything, an owner that may not make roles goes on as before; `tunery doctor` says so."""
    login = make_url(get_settings().database_url)
    is_another = login.username != owner.scalar(text("select session_user"))
    try:
        server_role.grant_rights(owner, login if is_another else None)
    except server_role.NotAllowed as refused:
        if is_another:
            raise CannotSeparateLogins(login.username or "", refused.statements) from None


def _check_revision_is_known(connection: Connection) -> None:
    current = current_revision(connection)
    if current is not None and current not in known_revisions():
        raise UnknownRevision(current)
