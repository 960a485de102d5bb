"""The money of a deployment: an hour is reserved ahead, and settled when it is over or the deployment has stopped."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlmodel import Session

from shared.budgets import service as budgets
from shared.budgets.service import Expense
from shared.deployments.models import Deployment, DeploymentStatus
from shared.deployments.prices import machine_of
from shared.errors import Invalid

HOUR = timedelta(hours=1)
_EXACTLY = Decimal("0.000001")


def begin(session: Session, deployment: Deployment) -> None:
    """Reserve the first hour. Raises `SpendLimitExceeded`, and `Invalid` if there is a limit and no price is known."""
    if deployment.price_per_hour is None:
        budget = budgets.budget_of(session, deployment.project_id)
        if budget is not None and budget.spend_limit is not None:
            what = machine_of(deployment.provider_options or {}) or "a deployment"
            raise Invalid(
                f"What an hour of {what} costs at {deployment.provider} is not known, and the project has a spend "
                "limit: ask your operator to set TUNERY_DEPLOYMENTS__PRICES_PER_HOUR, or to remove the limit",
                code="cost_unknown",
                param="model",
            )
    else:
        reserve(session, deployment)


def reserve(session: Session, deployment: Deployment, *, even_beyond_limit: bool = False) -> None:
    """Reserve an hour. Raises `SpendLimitExceeded`."""
    if deployment.price_per_hour:
        expense = _expense(deployment, deployment.price_per_hour)
        budgets.reserve(session, expense, even_beyond_limit=even_beyond_limit)


def advance(session: Session, deployment: Deployment, now: datetime) -> None:
    """Settle the hours that are over, and reserve the next. Raises `SpendLimitExceeded` if nothing is left for it.

    What is being stopped costs money until it has stopped, whatever is left.
    """
    is_stopping = deployment.status is DeploymentStatus.STOPPING
    while deployment.billed_until is not None and deployment.billed_until + HOUR <= now:
        _settle(session, deployment, HOUR, "An hour of the deployment")
        reserve(session, deployment, even_beyond_limit=is_stopping)


def end(session: Session, deployment: Deployment, now: datetime) -> None:
    """Settle what is left, to the second, and free what is reserved."""
    since = deployment.billed_until or now
    _settle(session, deployment, max(now - since, timedelta()), "The last part of an hour of the deployment")


def _settle(session: Session, deployment: Deployment, time: timedelta, reason: str) -> None:
    price = deployment.price_per_hour or Decimal()
    amount = (price * Decimal(time.total_seconds()) / 3600).quantize(_EXACTLY)
    if price:
        budgets.settle_hour(session, _expense(deployment, amount), reason)
    deployment.cost += amount
    if deployment.billed_until is not None:
        deployment.billed_until += time


def _expense(deployment: Deployment, amount: Decimal) -> Expense:
    line_item, what = f"{deployment.base_model}, deployment", "An hour of the deployment"
    return Expense(deployment.project_id, None, line_item, amount, None, deployment.id, what)
