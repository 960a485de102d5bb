"""Reserves, settles and corrects what jobs cost, within the spend limits of their projects."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, select

from shared.budgets import ledger, thresholds
from shared.budgets.amounts import money
from shared.budgets.models import CURRENCY, Budget, Kind, LedgerEntry
from shared.errors import SpendLimitExceeded
from shared.projects import service as projects

OF_A_JOB = "Cancel a job, train on less data, wait until next month, or ask your operator for a higher limit"
OF_A_QUESTION = "Wait until next month, or ask your operator for a higher limit"


@dataclass(frozen=True)
class Expense:
    """An amount in US dollars for a project's job, deployment or questions; `quantity` is in tokens.

    `what` begins a sentence.
    """

    project_id: str
    job_id: str | None
    line_item: str
    amount: Decimal
    quantity: int | None
    deployment_id: str | None = None
    what: str = "The job"


def budget_of(session: Session, project_id: str) -> Budget | None:
    return session.exec(select(Budget).where(Budget.project_id == project_id)).one_or_none()


def lock(session: Session, project_id: str) -> Budget | None:
    """Lock the project's budget, so that no other transaction reserves money. Lock order: jobs first, then this row."""
    query = select(Budget).where(Budget.project_id == project_id).with_for_update(key_share=True)
    return session.exec(query, execution_options={"populate_existing": True}).one_or_none()


def lock_or_create(session: Session, project_id: str) -> Budget:
    """Lock the project's budget, after inserting one if there is none. Raises `NotFound` for an unknown project."""
    projects.get_project(session, project_id)
    new = Budget(project_id=project_id)
    session.exec(insert(Budget).values(**new.model_dump()).on_conflict_do_nothing(index_elements=["project_id"]))
    found = lock(session, project_id)
    assert found is not None
    return found


def reserve(session: Session, expense: Expense, *, even_beyond_limit: bool = False) -> None:
    """Reserve a job's estimate. Raises `SpendLimitExceeded` if it exceeds what is left of the month's limit."""
    budget = lock(session, expense.project_id)
    month = ledger.this_month()
    if budget is not None and budget.spend_limit is not None and not even_beyond_limit:
        _check_room(session, budget, budget.spend_limit, month, expense.amount, expense.what)
    _add(session, expense, Kind.RESERVE, expense.amount, month, f"{expense.what}'s estimate")
    thresholds.notify_reached(session, budget, month)


def check_open(session: Session, budget: Budget, advice: str = OF_A_JOB) -> None:
    """Raises `SpendLimitExceeded` if nothing is left, for what has no estimate."""
    if budget.spend_limit is not None:
        _check_room(session, budget, budget.spend_limit, ledger.this_month(), None, advice=advice)


def _check_room(
    session: Session,
    budget: Budget,
    limit: Decimal,
    month: date,
    amount: Decimal | None,
    what: str = "The job",
    advice: str = OF_A_JOB,
) -> None:
    """`amount` None means unknown: then something must be left."""
    sums = ledger.sums(session, budget.project_id, month)
    left = limit - sums.committed
    if (left > 0) if amount is None else (amount <= left):
        return
    estimated = f"{what} is estimated at {money(amount)}, and " if amount is not None else ""
    raise SpendLimitExceeded(
        f"{estimated}{money(max(left, Decimal()))} is left of the project's spend limit of "
        f"{money(limit)} for {month:%Y-%m}: {money(sums.spent)} is spent, and "
        f"{money(sums.reserved)} reserved for jobs and deployments that have not ended. {advice}"
    )


def settle(session: Session, expense: Expense, reason: str) -> None:
    """Record a job's actual cost in place of its reservation, in the month of the reservation."""
    assert expense.job_id is not None
    budget = lock(session, expense.project_id)
    month = _free(session, expense.job_id, reason) or ledger.this_month()
    _add(session, expense, Kind.SETTLE, expense.amount, month, reason)
    thresholds.notify_reached(session, budget, month)


def settle_hour(session: Session, expense: Expense, reason: str) -> None:
    """Record what a deployment has cost in place of the hour that is reserved for it, in that one's month."""
    assert expense.deployment_id is not None
    budget = lock(session, expense.project_id)
    reserved = ledger.hour_reserved(session, expense.deployment_id)
    month = reserved.month if reserved is not None else ledger.this_month()
    if reserved is not None:
        _add(session, expense, Kind.RELEASE, -reserved.amount, month, reason)
    if expense.amount:
        _add(session, expense, Kind.SETTLE, expense.amount, month, reason)
    thresholds.notify_reached(session, budget, month)


def release(session: Session, job_id: str, reason: str) -> None:
    """Release a job's reservation, if it has one."""
    _free(session, job_id, reason)


def _free(session: Session, job_id: str, reason: str) -> date | None:
    """Release a reservation and return its month; None if there never was one."""
    found = ledger.reservation_of(session, job_id)
    if found is None:
        return None
    entry, amount = found
    if amount:
        expense = Expense(entry.project_id, job_id, entry.line_item, amount, entry.quantity)
        _add(session, expense, Kind.RELEASE, -amount, entry.month, reason)
    return entry.month


def adjust(session: Session, project_id: str, job_id: str | None, amount: Decimal, reason: str) -> LedgerEntry:
    """Add a correction, which may be negative, to what a project has spent this month."""
    budget = lock(session, project_id)
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
    thresholds.notify_reached(session, budget, entry.month)
    return entry


def _add(session: Session, expense: Expense, kind: Kind, amount: Decimal, month: date, reason: str) -> None:
    session.add(
        LedgerEntry(
            project_id=expense.project_id,
            job_id=expense.job_id,
            deployment_id=expense.deployment_id,
            kind=kind,
            amount=amount,
            currency=CURRENCY,
            month=month,
            line_item=expense.line_item,
            quantity=expense.quantity,
            reason=reason,
        )
    )
