"""Upgrades the schema, and grants the servers their rights in it.

Separate from `shared.database`: a server starts faster, and needs less memory, without Alembic.
"""

import time
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Row, make_url, text
from sqlalchemy.exc import OperationalError

from shared.database import owner_engine
from shared.db import server_role
from shared.db.revisions import current_revision, known_revisions
from shared.errors import ServiceError
from shared.settings import get_settings

_LOCK = 7_186_837_679  # any number; the same in every process that migrates
_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
PATIENCE = 300.0  # seconds in which the upgrade is tried again while others hold what it must lock
_PAUSE = text("select pg_sleep(3)")  # in which requests go on that have waited behind it
_OLDEST = text(
    "select pid, coalesce(nullif(application_name, ''), usename) as program, xact_start from pg_stat_activity"
    " where datname = current_database() and pid <> pg_backend_pid() order by xact_start limit 1"
)


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


class TablesInUse(ServiceError):
    """Other transactions have held the locks that a migration needs, for too long."""

    def __init__(self, oldest: Row[Any] | None) -> None:
        whose = f", the oldest one process {oldest.pid} ({oldest.program}) since {oldest.xact_start}" if oldest else ""
        super().__init__(
            f"A migration could not lock its tables, which other transactions hold{whose}: wait until they have ended, "
            "such as a backup, or end them with pg_terminate_backend, and migrate again. What was migrated is kept"
        )


def migrate(patience: float = PATIENCE) -> None:
    """Upgrades the schema to the newest revision, and grants the servers' login what it needs in each table.

    A second process waits until the first is done. Raises `UnknownRevision`, `TablesInUse` after `patience` seconds,
    and `CannotSeparateLogins`.
    """
    with owner_engine().connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        # Tried again and again: a statement that waited for the lock would hold a snapshot, for whose end an index that
        # is made CONCURRENTLY waits, so that both would wait for ever.
        while not owner.scalar(text("select pg_try_advisory_lock(:key)"), {"key": _LOCK}):
            owner.execute(text("select pg_sleep(0.2)"))
        try:
            _check_revision_is_known(owner)
            _upgrade(owner, patience)
            _grant_rights(owner)
        finally:
            owner.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})


def _upgrade(owner: Connection, patience: float) -> None:
    """Tries again what waited too long for a lock (`alembic/env.py`), or lost a deadlock: servers that run read several
    tables in one statement, in another order than a migration locks them."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return command.upgrade(Config(toml_file=str(_PYPROJECT)), "head")
        except OperationalError as error:  # the migration was undone, those before it were committed
            if not isinstance(error.orig, DeadlockDetected | LockNotAvailable):
                raise
            if time.monotonic() > deadline:
                raise TablesInUse(owner.execute(_OLDEST).one_or_none()) from None
        owner.execute(_PAUSE)


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
