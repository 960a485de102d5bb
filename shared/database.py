"""One engine, and one way to open a transaction."""

import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from psycopg import Connection
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlmodel import Session, create_engine

import shared.audit.recording
import shared.budgets.models
import shared.datasets.models
import shared.datasets.reports
import shared.idempotency
import shared.jobs.models
import shared.notifications.models
import shared.projects.models
import shared.projects.rate_limits
import shared.sweeps
import shared.webhooks.models  # noqa: F401  every table, so that every foreign key resolves
from shared.db.row_security import narrow_from_the_start
from shared.settings import get_settings


@cache
def get_engine() -> Engine:
    """40 connections: as many as the api has threads."""
    engine = create_engine(
        get_settings().database_url,
        pool_size=10,
        max_overflow=30,
        connect_args={"connect_timeout": 5, "application_name": "tunery"},
    )
    event.listen(engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Connection[Any], *_: object) -> None:
    """An idle connection that has something to read has been closed by Postgres; asking Postgres would cost more."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        if selector.select(timeout=0):
            raise DisconnectionError


@contextmanager
def transaction(project_id: str | None = None) -> Iterator[Session]:
    """Commit on the way out, roll back on an error.

    With a project only its rows are there, to be read or written, even where a query forgets to say so: Postgres sees
    to it. Without one it works across projects; tests/test_row_level_security.py lists who may, and why.
    """
    with Session(get_engine(), expire_on_commit=False) as session, session.begin():
        if project_id is not None:
            narrow_from_the_start(session, project_id)
        yield session
