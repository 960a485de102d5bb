"""Adds what answers have used to the sums of their day, and what it cost to the project's accruals."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from shared.budgets import accruals
from shared.budgets.service import Expense
from shared.inference.models import DailyInference
from shared.inference.prices import rates_of

MAX_MODELS_A_DAY = 1000  # of a project; its own provider may answer to any name
OTHER_MODELS = "other models"
LINE_ITEM = "{}, inference"


@dataclass(frozen=True)
class Place:
    """Where a question was answered: the model as it was asked for, at which provider.

    `is_deployed`: by a deployment that is paid by the hour, so that its tokens cost nothing.
    """

    model: str
    provider: str
    is_deployed: bool = False


@dataclass
class Used:
    """Sums over some answers of one model. `cached_tokens` are among `input_tokens`.

    `estimated_requests`: of answers that were left before they said what they used.
    """

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal()
    unpriced_requests: int = 0
    estimated_requests: int = 0

    def add(self, more: "Used") -> None:
        for name, value in vars(more).items():
            setattr(self, name, getattr(self, name) + value)


def record(session: Session, project_id: str, day: date, used: Mapping[Place, Used]) -> None:
    """Add what was used at each place, with what it costs, to the day."""
    by_model: dict[str, Used] = {}
    by_line_item: dict[str, Used] = {}
    for place, its in used.items():
        rates = None if place.is_deployed else rates_of(session, project_id, place.provider, place.model, day)
        priced = replace(its)
        if rates is not None:
            priced.cost = rates.cost(its.input_tokens, its.cached_tokens, its.output_tokens)
            by_line_item.setdefault(LINE_ITEM.format(rates.base), Used()).add(priced)
        elif not place.is_deployed:
            priced.unpriced_requests = its.requests
        by_model.setdefault(place.model, Used()).add(priced)
    add_to_day(session, project_id, day, by_model)
    known = accruals.line_items(session, project_id, day)
    for line_item, its in _bounded(by_line_item, known, LINE_ITEM.format(OTHER_MODELS)):
        if its.cost:
            expense = Expense(project_id, None, line_item, its.cost, its.input_tokens + its.output_tokens)
            accruals.accrue(session, expense, day)


def add_to_day(session: Session, project_id: str, day: date, used: Mapping[str, Used]) -> None:
    """Add these sums, each with its model's name. A name beyond `MAX_MODELS_A_DAY` counts as `OTHER_MODELS`."""
    query = select(DailyInference.model).where(DailyInference.project_id == project_id, DailyInference.day == day)
    for model, its in _bounded(used, set(session.exec(query)), OTHER_MODELS):
        new = insert(DailyInference).values(project_id=project_id, day=day, model=model, **vars(its))
        more = {name: getattr(DailyInference, name) + value for name, value in vars(its).items()}
        session.exec(new.on_conflict_do_update(index_elements=["project_id", "day", "model"], set_=more))


def _bounded(used: Mapping[str, Used], known: set[str], others: str) -> list[tuple[str, Used]]:
    """These sums, where names beyond `MAX_MODELS_A_DAY` are one; in one order, so that two processes do not wait for
    each other. `known`: the names that the day has."""
    sums: dict[str, Used] = {}
    for name, its in sorted(used.items()):
        if len(known) < MAX_MODELS_A_DAY:
            known.add(name)
        sums.setdefault(name if name in known else others, Used()).add(its)
    return sorted(sums.items())
