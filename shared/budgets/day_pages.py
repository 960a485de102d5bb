"""OpenAI's page of days, which its endpoints of costs and of usage return."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Generic, Literal, Self, TypeVar

from pydantic import BaseModel

from shared.budgets.daily import DAY
from shared.db.times import epoch

Result = TypeVar("Result", bound=BaseModel)


class DayBucket(BaseModel, Generic[Result]):
    """A day in UTC, from `start_time` until before `end_time` (Unix seconds)."""

    object: Literal["bucket"] = "bucket"
    start_time: int
    end_time: int
    results: list[Result]


class DayPage(BaseModel, Generic[Result]):
    """A page of days, oldest first; pass `next_page` as `page` to get the next one."""

    object: Literal["page"] = "page"
    data: list[DayBucket[Result]]
    has_more: bool
    next_page: str | None

    @classmethod
    def of(cls, shown: Sequence[datetime], more: datetime | None, found: Mapping[date, list[Result]]) -> Self:
        """Make a page of the days `shown`, with what was found on each; `more` is the first day of the next page."""
        data = [
            DayBucket[Result](start_time=epoch(day), end_time=epoch(day + DAY), results=found.get(day.date(), []))
            for day in shown
        ]
        return cls(data=data, has_more=more is not None, next_page=f"page_{epoch(more)}" if more else None)
