"""Costs that come in many small parts: added up for a day, which becomes one entry of the ledger when it is over."""

from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.budgets import service as budgets
from shared.budgets import thresholds
from shared.budgets.models import CURRENCY, Accrual, Kind, LedgerEntry
from shared.budgets.service import Expense

POST_AFTER = timedelta(hours=1)  # a process that could not write goes on trying, and what comes later is another entry
BATCH = 500


def line_items(session: Session, project_id: str, day: date) -> set[str]:
    query = select(Accrual.line_item).where(Accrual.project_id == project_id, Accrual.day == day)
    return set(session.exec(query))


def accrue(session: Session, expense: Expense, day: date) -> None:
    """Add a cost to those of the day. It counts at once in sums, limits and alerts, as an entry does."""
    budget = budgets.lock(session, expense.project_id)
    new = Accrual(
        project_id=expense.project_id,
        day=day,
        line_item=expense.line_item,
        amount=expense.amount,
        quantity=expense.quantity or 0,
    )
    more = {"amount": Accrual.amount + new.amount, "quantity": Accrual.quantity + new.quantity}
    added = insert(Accrual).values(**new.model_dump())
    session.exec(added.on_conflict_do_update(index_elements=["project_id", "day", "line_item"], set_=more))
    thresholds.notify_reached(session, budget, day.replace(day=1))


def post(session: Session, before: datetime) -> int:
    """Make entries of the ledger of up to `BATCH` accruals whose days were over at this time; returns how many."""
    is_over = col(Accrual.day) < before.astimezone(UTC).date()
    over = session.exec(select(Accrual).where(is_over).limit(BATCH).with_for_update(skip_locked=True)).all()
    for accrual in over:
        session.add(_entry(accrual))
        session.delete(accrual)
    return len(over)


def _entry(accrual: Accrual) -> LedgerEntry:
    """It counts for the day on which the costs came, so it is as old as the end of that day."""
    return LedgerEntry(
        created_at=datetime.combine(accrual.day, time.max, UTC),
        project_id=accrual.project_id,
        kind=Kind.SETTLE,
        amount=accrual.amount,
        currency=CURRENCY,
        month=accrual.day.replace(day=1),
        line_item=accrual.line_item,
        quantity=accrual.quantity,
        reason=f"What came on {accrual.day}",
    )
