"""Migrations run against the database that the settings name."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import TypeDecorator
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


with owner_engine().connect() as connection:
    context.configure(
        connection,
        target_metadata=SQLModel.metadata,
        render_item=render_item,
        compare_type=True,
        transaction_per_migration=True,  # a migration's locks end with it
    )
    with context.begin_transaction():
        context.run_migrations()
