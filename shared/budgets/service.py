"""Budgets: money is reserved before it is spent, within the project's limit; thresholds that are reached are told."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from shared.budgets import ledger, thresholds
from shared.budgets.amounts import in_words
from shared.budgets.models import CURRENCY, Budget, Kind, LedgerEntry
from shared.errors import SpendLimitExceeded
from shared.projects import service as projects


@dataclass(frozen=True)
class Expense:
    """What money goes out for: an amount in US dollars, of a project's job."""

    project_id: str
    job_id: str
    line_item: str
    amount: Decimal
    quantity: int | None


def budget_of(session: Session, project_id: str) -> Budget | None:
    return session.exec(select(Budget).where(Budget.project_id == project_id)).one_or_none()


def locked(session: Session, project_id: str) -> Budget | None:
    """The project's budget, which nobody else reserves from until this transaction ends. Locked after jobs."""
    query = select(Budget).where(Budget.project_id == project_id).with_for_update(key_share=True)
    return session.exec(query, execution_options={"populate_existing": True}).one_or_none()


def locked_or_new(session: Session, project_id: str) -> Budget:
    projects.get_project(session, project_id)
    new = Budget(project_id=project_id)
    session.exec(insert(Budget).values(**new.model_dump()).on_conflict_do_nothing(index_elements=["project_id"]))
    found = locked(session, project_id)
    assert found is not None
    return found


def reserve(session: Session, expense: Expense, *, even_beyond_limit: bool = False) -> None:
    """Keep an estimate free for a job. Raises `SpendLimitExceeded` if the month's limit has no room for it."""
    budget = locked(session, expense.project_id)
    month = ledger.this_month()
    if budget is not None and budget.spend_limit is not None and not even_beyond_limit:
        _check_room(session, budget, budget.spend_limit, month, expense.amount)
    _add(session, expense, Kind.RESERVE, expense.amount, month, "The job's estimate")
    thresholds.tell_reached(session, budget, month)


def check_open(session: Session, budget: Budget) -> None:
    """Refuse a job of which it is not known yet what it will cost, if nothing is left."""
    if budget.spend_limit is not None:
        _check_room(session, budget, budget.spend_limit, ledger.this_month(), None)


def _check_room(session: Session, budget: Budget, limit: Decimal, month: date, amount: Decimal | None) -> None:
    """`amount` is None while it is not known: then anything at all must be left."""
    sums = ledger.sums(session, budget.project_id, month)
    left = limit - sums.committed
    if (left > 0) if amount is None else (amount <= left):
        return
    estimated = f"The job is estimated at {in_words(amount)}, and " if amount is not None else ""
    raise SpendLimitExceeded(
        f"{estimated}{in_words(max(left, Decimal()))} is left of the project's spend limit of {in_words(limit)} for "
        f"{month:%Y-%m}: {in_words(sums.spent)} is spent, and {in_words(sums.reserved)} reserved for jobs that have "
        "not ended. Cancel a job, train on less, wait until next month, or ask your operator for a higher limit"
    )


def settle(session: Session, expense: Expense, reason: str) -> None:
    """Put down what a job has cost, in place of what was reserved for it."""
    budget = locked(session, expense.project_id)
    month = _free(session, expense.job_id, reason) or ledger.this_month()
    _add(session, expense, Kind.SETTLE, expense.amount, month, reason)
    thresholds.tell_reached(session, budget, month)


def release(session: Session, job_id: str, reason: str) -> None:
    """Let what was reserved for a job be free again."""
    _free(session, job_id, reason)


def _free(session: Session, job_id: str, reason: str) -> date | None:
    """The month for which it was reserved; None if nothing ever was."""
    found = ledger.reservation_of(session, job_id)
    if found is None:
        return None
    entry, amount = found
    if amount:
        expense = Expense(entry.project_id, job_id, entry.line_item, amount, entry.quantity)
        _add(session, expense, Kind.RELEASE, -amount, entry.month, reason)
    return entry.month


def adjust(session: Session, project_id: str, job_id: str | None, amount: Decimal, reason: str) -> LedgerEntry:
    """Correct what a project has spent this month, by an amount that may be negative, where the bill says otherwise."""
    budget = locked(session, project_id)
    entry = LedgerEntry(
        project_id=project_id,
        job_id=job_id,
        kind=Kind.ADJUST,
        amount=amount,
        currency=CURRENCY,
        month=ledger.this_month(),
        line_item="adjustment",
        reason=reason,
    )
    session.add(entry)
    thresholds.tell_reached(session, budget, entry.month)
    return entry


def _add(session: Session, expense: Expense, kind: Kind, amount: Decimal, month: date, reason: str) -> None:
    session.add(
        LedgerEntry(
            project_id=expense.project_id,
            job_id=expense.job_id,
            kind=kind,
            amount=amount,
            currency=CURRENCY,
            month=month,
            line_item=expense.line_item,
            quantity=expense.quantity,
            reason=reason,
        )
    )
