"""Reads costs by day: whole days from the daily sums, and parts of a day from the ledger and the accruals."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Date, Subquery, and_, cast, literal, union_all
from sqlmodel import col, func, select

from shared.budgets.models import CURRENCY, Accrual, DailySum, Kind, LedgerEntry
from shared.db.times import utc_now

DAY = timedelta(days=1)
COSTS = (Kind.SETTLE, Kind.ADJUST)


def day_of(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def until(end: datetime | None) -> datetime:
    """Return the end of a period; that of today if it has not passed, so that today counts as a whole day."""
    tomorrow = day_of(utc_now()) + DAY
    return tomorrow if end is None or end >= utc_now() else end


def days_of(start: datetime, end: datetime | None, limit: int) -> tuple[list[datetime], datetime | None]:
    """Return up to `limit` days from that of `start` until before `end`, none in the future; and the next, if any."""
    now, first = utc_now(), day_of(start)
    days = max(0, -((first - min(end or now, now)) // DAY))
    shown = [first + DAY * number for number in range(min(days, limit))]
    return shown, first + DAY * limit if days > limit else None


@dataclass(frozen=True)
class Period:
    """From `start` until before `end`: the whole days (UTC) from `first` until before `after`, and what is around."""

    start: datetime
    end: datetime

    @property
    def first(self) -> datetime:
        day = day_of(self.start)
        return day if day == self.start else day + DAY

    @property
    def after(self) -> datetime:
        return max(self.first, day_of(self.end))

    @property
    def rest(self) -> list[tuple[datetime, datetime]]:
        """What is not in the whole days: up to two parts of a day, each with its start and its end."""
        parts = (self.start, min(self.first, self.end)), (self.after, self.end)
        return [(start, end) for start, end in parts if start < end]

    def has(self, day: Any) -> ColumnElement[bool]:
        """Whether a column's day is one of the whole days."""
        return and_(day >= self.first.date(), day < self.after.date())


def costs_between(start: datetime, end: datetime) -> Subquery:
    """Return what was spent from `start` until before `end`, with the columns `day`, `project_id`, `line_item`,
    `currency`, `amount` and `quantity`. Accruals count at the end of their day."""
    period = Period(start, end)
    names = ("project_id", "line_item", "currency", "amount", "quantity")
    columns: list[Any] = [DailySum.day, *(getattr(DailySum, name) for name in names)]
    parts = [select(*columns).where(period.has(DailySum.day), col(DailySum.is_reserved).is_(False))]
    at = col(LedgerEntry.created_at)
    day: Any = cast(func.timezone("UTC", at), Date)
    for first, last in period.rest:
        columns = [day, *(getattr(LedgerEntry, name) for name in names)]
        parts.append(select(*columns).where(at >= first, at < last, col(LedgerEntry.kind).in_(COSTS)))
        if last == day_of(first) + DAY:
            columns = [Accrual.day, Accrual.project_id, Accrual.line_item, literal(CURRENCY)]
            columns += [Accrual.amount, Accrual.quantity]
            parts.append(select(*columns).where(Accrual.day == day_of(first).date()))
    return union_all(*parts).subquery("costs")
