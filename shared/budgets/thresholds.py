"""Thresholds: a project is told once a month of each that its spending reaches, in the transaction that reaches it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.budgets import ledger
from shared.budgets.models import Budget, SpendAlert, ThresholdNotification
from shared.budgets.schemas import ThresholdReached
from shared.notifications import service as notifications
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType


@dataclass(frozen=True)
class _Mark:
    """An amount, by name; `percent` if it is a part of the limit, `alert` if it is somebody's own."""

    name: str
    amount: Decimal
    percent: int | None = None
    alert: SpendAlert | None = None


def tell_reached(session: Session, budget: Budget | None, month: date) -> None:
    """Tell of what has been reached and not been told yet. The budget is locked, so that nobody else does."""
    if budget is None:
        return
    session.flush()
    marks = list(_marks(session, budget))
    if not marks:
        return
    sums = ledger.sums(session, budget.project_id, month)
    for mark in marks:
        if 0 < sums.committed >= mark.amount and _is_news(session, budget.project_id, month, mark):
            _tell(session, budget, month, mark, sums)


def _marks(session: Session, budget: Budget) -> Iterator[_Mark]:
    if budget.spend_limit is not None:
        for percent in budget.alert_percentages:
            yield _Mark(f"{percent}%", budget.spend_limit * percent / 100, percent=percent)
    alerts = select(SpendAlert).where(SpendAlert.project_id == budget.project_id)
    for alert in session.exec(alerts.order_by(SpendAlert.id)):
        yield _Mark(alert.id, alert.threshold, alert=alert)


def _is_news(session: Session, project_id: str, month: date, mark: _Mark) -> bool:
    """A limit or an alert that was changed is another amount, and told of again."""
    told = ThresholdNotification(project_id=project_id, month=month, name=mark.name, amount=mark.amount)
    new = (
        insert(ThresholdNotification)
        .values(**told.model_dump())
        .on_conflict_do_nothing()
        .returning(col(ThresholdNotification.id))
    )
    return session.exec(new).first() is not None


def _tell(session: Session, budget: Budget, month: date, mark: _Mark, sums: ledger.Sums) -> None:
    reached = ThresholdReached.of(budget, month, sums, mark.amount, mark.percent, mark.alert)
    data = reached.model_dump(mode="json")
    type = EventType.BUDGET_THRESHOLD_REACHED
    webhooks.emit(session, budget.project_id, type, data)
    if mark.alert is None:
        notifications.tell(session, budget.project_id, type, data)
    else:
        notifications.send(session, budget.project_id, type, data, mark.alert.recipients, mark.alert.subject_prefix)
