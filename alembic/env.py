"""Migrations run against the database that the settings name."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, TypeDecorator, event
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from shared.database import owner_engine


def render_item(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write plain SQLAlchemy types, so that no migration imports our code."""
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def wait_briefly(connection: Connection) -> None:
    """Every request queues behind a statement that waits for a table, so it gives up soon, and `migrate` tries again.
    An index that is made CONCURRENTLY, in no transaction, waits for as long as it takes: nobody queues behind it."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("set local lock_timeout = '2s'")


with owner_engine().connect() as connection:
    event.listen(connection, "begin", wait_briefly)
    context.configure(
        connection,
        target_metadata=SQLModel.metadata,
        render_item=render_item,
        compare_type=True,
        transaction_per_migration=True,  # a migration's locks end with it
    )
    with context.begin_transaction():
        context.run_migrations()
