"""Adds what answers have used to the sums of their day, and what it cost to the project's ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from shared.budgets import service as budgets
from shared.budgets.service import Expense
from shared.inference.models import DailyInference
from shared.inference.prices import rates_of

MAX_MODELS_A_DAY = 1000  # of a project; its own provider may answer to any name
OTHER_MODELS = "other models"


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
    """Sums over some answers of one model. `cached_tokens` are among `input_tokens`."""

    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal()
    unpriced_requests: int = 0

    def add(self, more: "Used") -> None:
        for name, value in vars(more).items():
            setattr(self, name, getattr(self, name) + value)


def record(session: Session, project_id: str, day: date, used: Mapping[Place, Used]) -> None:
    """Add what was used at each place, with what it costs, to the day and to the ledger."""
    by_model: dict[str, Used] = {}
    by_base: dict[str, Used] = {}
    for place, its in used.items():
        rates = None if place.is_deployed else rates_of(session, project_id, place.provider, place.model, day)
        priced = replace(its)
        if rates is not None:
            priced.cost = rates.cost(its.input_tokens, its.cached_tokens, its.output_tokens)
            by_base.setdefault(rates.base, Used()).add(priced)
        elif not place.is_deployed:
            priced.unpriced_requests = its.requests
        by_model.setdefault(place.model, Used()).add(priced)
    add_to_day(session, project_id, day, by_model)
    for base, its in sorted(by_base.items()):
        if its.cost:
            expense = Expense(project_id, None, f"{base}, inference", its.cost, its.input_tokens + its.output_tokens)
            budgets.settle(session, expense, f"Answers to {its.requests} questions")


def add_to_day(session: Session, project_id: str, day: date, used: Mapping[str, Used]) -> None:
    """Add these sums, each with its model's name. A name beyond `MAX_MODELS_A_DAY` counts as `OTHER_MODELS`."""
    query = select(DailyInference.model).where(DailyInference.project_id == project_id, DailyInference.day == day)
    names = set(session.exec(query))
    sums: dict[str, Used] = {}
    for model, its in sorted(used.items()):
        if len(names) < MAX_MODELS_A_DAY:
            names.add(model)
        sums.setdefault(model if model in names else OTHER_MODELS, Used()).add(its)
    for model, its in sorted(sums.items()):  # in one order, so that two processes do not wait for each other
        new = insert(DailyInference).values(project_id=project_id, day=day, model=model, **vars(its))
        more = {name: getattr(DailyInference, name) + value for name, value in vars(its).items()}
        session.exec(new.on_conflict_do_update(index_elements=["project_id", "day", "model"], set_=more))
