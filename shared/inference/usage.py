"""Sums up what asking models has used, in the shape of OpenAI's endpoint for the usage of completions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlmodel import Session, col, func, select

from shared.budgets import daily
from shared.budgets.costs import CostAmount
from shared.budgets.day_pages import DayPage
from shared.inference.models import DailyInference

GroupBy = Literal["project_id", "model"]


class CompletionsUsageResult(BaseModel):
    """What was used on a day, or by one project or of one model in it if `group_by` names these.

    `num_model_requests` counts the answers that said what they used, and those whose callers left before:
    `estimated_requests`, of which it is estimated. `input_cached_tokens` are among `input_tokens`.
    `amount`: what it costs, without the `cost_unknown` of these answers whose price is not known.
    """

    object: Literal["organization.usage.completions.result"] = "organization.usage.completions.result"
    input_tokens: int
    input_cached_tokens: int
    output_tokens: int
    num_model_requests: int
    estimated_requests: int
    amount: CostAmount
    cost_unknown: int
    project_id: str | None
    model: str | None


CompletionsUsagePage = DayPage[CompletionsUsageResult]


@dataclass(frozen=True)
class UsageFilter:
    """Which usage to sum up, and by what besides the day. An empty filter matches everything."""

    group_by: Collection[GroupBy] = ()
    project_ids: Sequence[str] = ()
    models: Sequence[str] = ()


def page(
    session: Session, wanted: UsageFilter, start: datetime, end: datetime | None, limit: int
) -> CompletionsUsagePage:
    """Return up to `limit` whole days from that of `start` until that before `end` (default: now)."""
    shown, more = daily.days_of(start, end, limit)
    found = _results(session, wanted, shown[0].date(), shown[-1].date()) if shown else {}
    return CompletionsUsagePage.of(shown, more, found)


def _results(
    session: Session, wanted: UsageFilter, first: date, last: date
) -> dict[date, list[CompletionsUsageResult]]:
    names = [name for name in ("project_id", "model") if name in wanted.group_by]
    groups = [getattr(DailyInference, name) for name in names]
    counts = (DailyInference.input_tokens, DailyInference.cached_tokens, DailyInference.output_tokens)
    requests = (DailyInference.requests, DailyInference.unpriced_requests, DailyInference.estimated_requests)
    sums = [func.sum(each) for each in (*counts, *requests)]
    columns: list[Any] = [DailyInference.day, func.sum(DailyInference.cost), *sums, *groups]
    query = select(*columns).where(col(DailyInference.day).between(first, last))
    if wanted.project_ids:
        query = query.where(col(DailyInference.project_id).in_(wanted.project_ids))
    if wanted.models:
        query = query.where(col(DailyInference.model).in_(wanted.models))
    found: dict[date, list[CompletionsUsageResult]] = {}
    for day, cost, given, cached, made, number, unpriced, estimated, *rest in session.execute(
        query.group_by(col(DailyInference.day), *groups).order_by(col(DailyInference.day), *groups)
    ):
        by = dict(zip(names, rest, strict=True))
        result = CompletionsUsageResult(
            input_tokens=int(given),
            input_cached_tokens=int(cached),
            output_tokens=int(made),
            num_model_requests=int(number),
            estimated_requests=int(estimated),
            amount=CostAmount.of(cost),
            cost_unknown=int(unpriced),
            project_id=by.get("project_id"),
            model=by.get("model"),
        )
        found.setdefault(day, []).append(result)
    return found
