"""Column types that every table shares: times in UTC, JSON, exact amounts and enums stored as text."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Enum, Numeric, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field


class UTCDateTime(TypeDecorator[datetime]):
    """A timezone-aware datetime, stored in UTC. Raises `ValueError` for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("cannot store a naive datetime: give it a timezone")
        return value


def TimeField(**options: Any) -> Any:
    # SQLModel also makes a field's default the column's default, which SQLAlchemy would then apply to an explicit None.
    return Field(sa_type=UTCDateTime, sa_column_kwargs={"default": None}, **options)


def JSONField(**options: Any) -> Any:
    return Field(sa_type=JSONB(none_as_null=True), **options)


def AmountField(**options: Any) -> Any:
    """An exact decimal of any length, for money."""
    return Field(sa_type=Numeric, **options)


def EnumField(enum: type[StrEnum], **options: Any) -> Any:
    """A text column that stores an enum's values and returns its members.

    A native Postgres enum would hold the members' names, and every new member would need a migration.
    """
    values = [member.value for member in enum]
    column = Enum(enum, native_enum=False, create_constraint=False, length=32, values_callable=lambda _: values)
    return Field(sa_type=column, **options)
