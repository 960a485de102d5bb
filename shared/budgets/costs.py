"""Sums up the ledger by day, project and line item, in the shape of OpenAI's costs endpoint."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import ColumnElement
from sqlmodel import Session, func, select

from shared.budgets import daily
from shared.budgets.amounts import text_of
from shared.budgets.day_pages import DayBucket, DayPage
from shared.budgets.models import CURRENCY

GroupBy = Literal["project_id", "line_item"]


class CostAmount(BaseModel):
    """`value` is a float, as at OpenAI; `exact_value` is the same amount as decimal text."""

    value: float
    currency: str
    exact_value: str

    @classmethod
    def of(cls, amount: Decimal, currency: str = CURRENCY) -> "CostAmount":
        return cls(value=float(amount), currency=currency.lower(), exact_value=text_of(amount))


class CostResult(BaseModel):
    """The cost of a day, or of one project or line item in it if `group_by` names these."""

    object: Literal["organization.costs.result"] = "organization.costs.result"
    amount: CostAmount
    line_item: str | None
    project_id: str | None
    quantity: float | None
    quantity_unit: Literal["tokens"] | None


CostBucket = DayBucket[CostResult]
CostPage = DayPage[CostResult]


@dataclass(frozen=True)
class CostFilter:
    """Which costs to sum up, and by what besides day and currency. An empty filter matches everything."""

    group_by: Collection[GroupBy] = ()
    project_ids: Sequence[str] = ()
    line_items: Sequence[str] = ()

    def conditions(self, costs: Any) -> Iterator[ColumnElement[bool]]:
        if self.project_ids:
            yield costs.project_id.in_(self.project_ids)
        if self.line_items:
            yield costs.line_item.in_(self.line_items)


def page(session: Session, wanted: CostFilter, start: datetime, end: datetime | None, limit: int) -> CostPage:
    """Return up to `limit` days with the costs from `start` until before `end`, beginning with the day of `start`."""
    shown, more = daily.days_of(start, end, limit)
    until = daily.until(end)
    found = _results(session, wanted, start, min(until, more or until)) if shown else {}
    return CostPage.of(shown, more, found)


def _results(session: Session, wanted: CostFilter, start: datetime, end: datetime) -> dict[date, list[CostResult]]:
    costs = daily.costs_between(start, end).columns
    names = [name for name in ("project_id", "line_item") if name in wanted.group_by]
    groups = [costs[name] for name in names]
    query = (
        select(costs.day, costs.currency, func.sum(costs.amount), func.sum(costs.quantity), *groups)
        .where(*wanted.conditions(costs))
        .group_by(costs.day, costs.currency, *groups)
        .order_by(costs.day, *groups, costs.currency)
    )
    found: dict[date, list[CostResult]] = {}
    for day, currency, amount, quantity, *rest in session.execute(query):
        by = dict(zip(names, rest, strict=True))
        found.setdefault(day, []).append(_result(currency, amount, quantity, by))
    return found


def _result(currency: str, amount: Decimal, quantity: int | None, by: dict[str, str]) -> CostResult:
    known = quantity is not None and "line_item" in by  # as at OpenAI: line items have no common unit to sum up
    return CostResult(
        amount=CostAmount.of(amount, currency),
        line_item=by.get("line_item"),
        project_id=by.get("project_id"),
        quantity=float(quantity) if quantity is not None and known else None,
        quantity_unit="tokens" if known else None,
    )
