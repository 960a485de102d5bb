"""The database engine, and `transaction`, the only place that commits."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, cast

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.errors import DeadlockDetected, UndefinedColumn, UndefinedTable
from pydantic_core import from_json
from sqlalchemy import Engine, NullPool, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, ProgrammingError
from sqlmodel import Session, create_engine

import shared.audit.recording
import shared.budgets.models
import shared.datasets.models
import shared.datasets.reports
import shared.deployments.models
import shared.idempotency
import shared.inference.models
import shared.jobs.models
import shared.jobs.queue.models
import shared.jobs.spending.models
import shared.notifications.models
import shared.projects.models
import shared.projects.rate_limits
import shared.sweeps
import shared.webhooks.models  # noqa: F401  imports every table: a flush needs all foreign keys to resolve
from shared.db import connections
from shared.db.row_security import LIMIT, limit_from_the_start
from shared.metrics.instruments import POOL_CONNECTIONS
from shared.settings import get_settings

LIMIT_OF_DRIVER = LIMIT.text.replace(":project", "%(project)s")  # as psycopg writes parameters
_CONNECT = {"connect_timeout": 5, "application_name": "tunery"}
NOT_MIGRATED = "the database has not the schema of this version: run `./tunery migrate`"


_most_connections: int | None = None


def limit_connections(most: int) -> None:
    """Let this process open at most so many. Call it before the first; without it, as many as one of the api."""
    global _most_connections
    _most_connections = most
    get_engine.cache_clear()


@cache
def get_engine() -> Engine:
    """Return the engine of this process."""
    most = _most_connections or connections.of_api_pool(get_settings().api_connections)
    kept_open = min(most, connections.KEPT_OPEN)
    engine = create_engine(
        get_settings().database_url,
        pool_size=kept_open,
        max_overflow=most - kept_open,
        hide_parameters=True,  # of a statement that fails, which the log would show
        connect_args=_CONNECT,
        json_deserializer=from_json,  # five times as fast as `json`, which took a third of the time of a list of jobs
    )
    event.listen(engine, "checkout", _check_open)
    event.listen(engine, "checkout", lambda *_: POOL_CONNECTIONS.labels("in_use").inc())
    event.listen(engine, "checkin", lambda *_: POOL_CONNECTIONS.labels("in_use").dec())
    return engine


def owner_engine() -> Engine:
    """Return an engine of the login that owns the tables, for migrations and for what only the owner may do."""
    url = get_settings().migration_database_url or get_settings().database_url
    return create_engine(url, poolclass=NullPool, connect_args=_CONNECT)


def _check_open(connection: Connection[Any], *_: object) -> None:
    """Make the pool replace a connection that Postgres has closed, which shows as data to read on an idle connection.

    SQLAlchemy's `pool_pre_ping` would send a query for each checkout instead.
    """
    if has_arrived(connection.fileno()):
        raise DisconnectionError


def has_arrived(socket: int) -> bool:
    """Whether there is something to read. On an idle connection that is its end, or a notice of it."""
    arrived = select.poll()  # a selector would open and close a file of its own
    arrived.register(socket, select.POLLIN)
    return bool(arrived.poll(0))


@contextmanager
def transaction(project_id: str | None = None) -> Iterator[Session]:
    """Open a session in a transaction that is committed at the end of the block, or rolled back on an exception.

    With a project, Postgres lets the session read and write only rows of that project, whatever its queries say.
    Without one it works across projects; tests/test_row_level_security.py lists the functions that may, and why.
    """
    with Session(get_engine(), expire_on_commit=False) as session, session.begin():
        if project_id is not None:
            limit_from_the_start(session, project_id)
        yield session


@contextmanager
def driver_connection() -> Iterator[Connection[Any]]:
    """A bare connection of psycopg from the pool, with the errors that a session raises; closed after such an error.

    For statements that run so often that most of their cost would be SQLAlchemy's.
    """
    try:
        pooled = get_engine().raw_connection()
    except psycopg.Error as error:
        raise as_of_session(error) from error
    try:
        yield cast("Connection[Any]", pooled.driver_connection)
    except psycopg.Error as error:
        pooled.invalidate()
        raise as_of_session(error) from error
    finally:
        pooled.close()


async def open_async() -> AsyncConnection[Any]:
    """A connection beside the pool, for an event loop. Raises `psycopg.Error`."""
    _, options = get_engine().dialect.create_connect_args(get_engine().url)
    return await AsyncConnection.connect(**{**options, **_CONNECT, "autocommit": True})


def as_of_session(error: psycopg.Error) -> Exception:
    """The error that a session raises where psycopg raises this one."""
    return DBAPIError.instance(None, None, error, psycopg.Error)


@contextmanager
def driver_transaction(project_id: str) -> Iterator[Connection[Any]]:
    """Like `transaction(project_id)`, on a bare connection of psycopg.

    A message waits until an answer is read, so begin, limit and the first statement are one round trip.
    """
    with driver_connection() as connection, connection.pipeline(), connection.transaction():
        connection.execute(LIMIT_OF_DRIVER, {"project": project_id})
        yield connection


@contextmanager
def driver_pipeline(project_id: str) -> Iterator[Connection[Any]]:
    """Like `driver_transaction`, in one round trip: the answers can be read after the block.

    What a pipeline sends up to its end is one transaction, without a BEGIN and a COMMIT of its own.
    """
    with driver_connection() as connection:
        connection.autocommit = True
        try:
            with connection.pipeline():
                connection.execute(LIMIT_OF_DRIVER, {"project": project_id})
                yield connection
        finally:
            if not connection.closed:  # else the error that has closed it would be lost, and the pool drops it anyway
                connection.autocommit = False


def lacks_migrations(error: ProgrammingError) -> bool:
    """Whether a statement failed because the schema is older than this version, or not there at all."""
    return isinstance(error.orig, UndefinedTable | UndefinedColumn)


def lost_deadlock(error: Exception) -> bool:
    """Whether Postgres has undone a transaction that waited for another one and it for this, as beside a migration."""
    return isinstance(error, DBAPIError) and isinstance(error.orig, DeadlockDetected)
