"""Notifies a project once a month of each threshold that its spending reaches, in the transaction that reaches it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.budgets import ledger
from shared.budgets.models import Budget, SpendAlert, ThresholdNotification
from shared.budgets.schemas import ThresholdReached
from shared.notifications import events
from shared.webhooks.event_types import EventType


@dataclass(frozen=True)
class _Threshold:
    """An amount: a `percent` of the spend limit, or that of a spend `alert`."""

    name: str
    amount: Decimal
    percent: int | None = None
    alert: SpendAlert | None = None


def notify_reached(session: Session, budget: Budget | None, month: date) -> None:
    """Notify the thresholds that are reached and were not notified this month. The caller has locked the budget."""
    if budget is None:
        return
    session.flush()
    thresholds = list(_thresholds(session, budget))
    if not thresholds:
        return
    sums = ledger.sums(session, budget.project_id, month)
    for threshold in thresholds:
        if 0 < sums.committed >= threshold.amount and _record(session, budget.project_id, month, threshold):
            _notify(session, budget, month, threshold, sums)


def _thresholds(session: Session, budget: Budget) -> Iterator[_Threshold]:
    if budget.spend_limit is not None:
        for percent in budget.alert_percentages:
            yield _Threshold(f"{percent}%", budget.spend_limit * percent / 100, percent=percent)
    alerts = select(SpendAlert).where(SpendAlert.project_id == budget.project_id)
    for alert in session.exec(alerts.order_by(SpendAlert.id)):
        yield _Threshold(alert.id, alert.threshold, alert=alert)


def _record(session: Session, project_id: str, month: date, threshold: _Threshold) -> bool:
    """Record the notification; False if it was sent this month. After a change of its amount it is sent again."""
    row = ThresholdNotification(project_id=project_id, month=month, name=threshold.name, amount=threshold.amount)
    query = (
        insert(ThresholdNotification)
        .values(**row.model_dump())
        .on_conflict_do_nothing()
        .returning(col(ThresholdNotification.id))
    )
    return session.exec(query).first() is not None


def _notify(session: Session, budget: Budget, month: date, threshold: _Threshold, sums: ledger.Sums) -> None:
    reached = ThresholdReached.of(budget, month, sums, threshold.amount, threshold.percent, threshold.alert)
    data = reached.model_dump(mode="json")
    alert = threshold.alert
    email_to = events.Recipients(alert.recipients, alert.subject_prefix) if alert else None
    events.emit(session, budget.project_id, EventType.BUDGET_THRESHOLD_REACHED, data, email_to)
