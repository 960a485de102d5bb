"""Sets a project's monthly spend limit, and the amount above which a job needs approval."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from sqlmodel import Session

from shared.budgets import ledger, thresholds
from shared.budgets.amounts import cents_of, of_cents
from shared.budgets.models import Budget
from shared.budgets.schemas import ApprovalLimitPublic, SpendLimitPublic
from shared.budgets.service import budget_of, lock_or_create
from shared.errors import Invalid, NotFound
from shared.projects import service as projects

Limit = TypeVar("Limit")
DEFAULT_ALERTS = [50, 80, 100]  # percent of a new limit


def set_spend_limit(
    session: Session, project_id: str, cents: int | None, alert_percentages: list[int] | None
) -> SpendLimitPublic:
    """Set the limit, which applies to new jobs, and notify the thresholds that are reached already.

    None leaves what a limit has. Raises `NotFound` and `Invalid`, as do the other functions of this module.
    """
    projects.get_active_project(session, project_id)
    budget = lock_or_create(session, project_id)
    limit = budget.spend_limit if cents is None else of_cents(cents)
    if limit is None:
        sentence = f"{project_id} has no spend limit yet: a new one needs its amount"
        raise Invalid(sentence, param="threshold_amount", code="missing_required_parameter")
    if alert_percentages is None:
        alert_percentages = DEFAULT_ALERTS if budget.spend_limit is None else budget.alert_percentages
    budget.spend_limit, budget.alert_percentages = limit, sorted(set(alert_percentages))
    session.add(budget)
    thresholds.notify_reached(session, budget, ledger.this_month())
    return _show(session, budget, limit)


def get_spend_limit(session: Session, project_id: str) -> SpendLimitPublic:
    budget, limit = _limit_of(session, project_id)
    return _show(session, budget, limit)


def delete_spend_limit(session: Session, project_id: str) -> None:
    budget, _ = _limit_of(session, project_id, lock=True)
    budget.spend_limit = None
    session.add(budget)


def _limit_of(session: Session, project_id: str, *, lock: bool = False) -> tuple[Budget, Decimal]:
    projects.get_project(session, project_id)
    budget = lock_or_create(session, project_id) if lock else budget_of(session, project_id)
    if budget is None or budget.spend_limit is None:
        raise NotFound(f"{project_id} has no spend limit", param="project_id")
    return budget, budget.spend_limit


def _show(session: Session, budget: Budget, limit: Decimal) -> SpendLimitPublic:
    return SpendLimitPublic.of(budget, limit, ledger.sums(session, budget.project_id, ledger.this_month()))


def set_approval_limit(session: Session, project_id: str, cents: int) -> ApprovalLimitPublic:
    """Set the amount above which a job waits for approval; jobs already sent to the provider are not affected."""
    projects.get_active_project(session, project_id)
    budget = lock_or_create(session, project_id)
    budget.approval_above = of_cents(cents)
    session.add(budget)
    return ApprovalLimitPublic(threshold_amount=cents)


def get_approval_limit(session: Session, project_id: str) -> ApprovalLimitPublic:
    return ApprovalLimitPublic(threshold_amount=cents_of(_approval_above(session, project_id)))


def delete_approval_limit(session: Session, project_id: str) -> None:
    """Remove the limit. Jobs that already wait for approval go on waiting."""
    _approval_above(session, project_id)
    budget = lock_or_create(session, project_id)
    budget.approval_above = None
    session.add(budget)


def _approval_above(session: Session, project_id: str) -> Decimal:
    projects.get_project(session, project_id)
    budget = budget_of(session, project_id)
    if budget is None or budget.approval_above is None:
        raise NotFound(f"{project_id} has no approval limit", param="project_id")
    return budget.approval_above


def if_any(get: Callable[[Session, str], Limit], session: Session, project_id: str) -> Limit | None:
    """Return what `get_spend_limit` or `get_approval_limit` finds; None if the project has no such limit."""
    try:
        return get(session, project_id)
    except NotFound:
        return None
