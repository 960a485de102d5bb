"""Creates, changes and lists spend alerts: amounts at which people get an e-mail."""

from sqlmodel import Session, select

from shared.budgets import ledger, thresholds
from shared.budgets.amounts import of_cents
from shared.budgets.models import SpendAlert
from shared.budgets.schemas import SpendAlertUpdate
from shared.budgets.service import lock_or_create
from shared.db.owned import check_cursor, get_owned, list_owned
from shared.errors import Invalid
from shared.projects import service as projects

MAX_ALERTS_PER_PROJECT = 20


def create(session: Session, project_id: str, new: SpendAlertUpdate) -> SpendAlert:
    """Create an alert, and notify at once if its amount is reached already. Raises `Invalid` beyond 20 alerts."""
    budget = lock_or_create(session, project_id)
    existing = session.exec(select(SpendAlert.id).where(SpendAlert.project_id == project_id)).all()
    if len(existing) >= MAX_ALERTS_PER_PROJECT:
        sentence = f"A project may have {MAX_ALERTS_PER_PROJECT} spend alerts: delete one first"
        raise Invalid(sentence, code="too_many_spend_alerts")
    alert = _set(SpendAlert(project_id=project_id, threshold=of_cents(new.threshold_amount)), new)
    session.add(alert)
    thresholds.notify_reached(session, budget, ledger.this_month())
    return alert


def update(session: Session, project_id: str, alert_id: str, new: SpendAlertUpdate) -> SpendAlert:
    budget = lock_or_create(session, project_id)
    alert = _set(get(session, project_id, alert_id), new)
    thresholds.notify_reached(session, budget, ledger.this_month())
    return alert


def _set(alert: SpendAlert, new: SpendAlertUpdate) -> SpendAlert:
    channel = new.notification_channel
    alert.threshold = of_cents(new.threshold_amount)
    alert.recipients, alert.subject_prefix = channel.recipients, channel.subject_prefix
    return alert


def get(session: Session, project_id: str, alert_id: str) -> SpendAlert:
    projects.get_project(session, project_id)
    return get_owned(session, SpendAlert, alert_id, project_id, param="alert_id")


def list_alerts(
    session: Session, project_id: str, *, after: str | None, before: str | None, ascending: bool, limit: int
) -> list[SpendAlert]:
    """Return up to `limit` + 1 alerts, newest first unless `ascending`. Raises `NotFound` for an unknown cursor."""
    projects.get_project(session, project_id)
    where = []
    if before is not None:
        check_cursor(session, SpendAlert, before, project_id)
        where.append(SpendAlert.id < before if ascending else SpendAlert.id > before)
    return list_owned(session, SpendAlert, project_id, *where, after=after, limit=limit, ascending=ascending)


def delete(session: Session, project_id: str, alert_id: str) -> None:
    session.delete(get(session, project_id, alert_id))
