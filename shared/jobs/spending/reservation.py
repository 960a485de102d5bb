"""Reserves a job's estimated cost in the budget; settles it with the actual cost, or releases it, when the job ends."""

from decimal import Decimal
from typing import Any

from sqlmodel import Session, col, select

from shared.budgets import ledger
from shared.budgets import service as budgets
from shared.budgets.models import LedgerEntry
from shared.budgets.service import Expense
from shared.db.claims import make_due
from shared.db.owned import get_owned
from shared.errors import Invalid
from shared.jobs.models import Job, JobStatus
from shared.jobs.spending import costs
from shared.projects import service as projects

UNKNOWN = "cost_unknown"


def begin(session: Session, job: Job) -> None:
    """Reserve a new job's estimate, or if it is not known yet, check that the limit is not reached already.

    Raises `SpendLimitExceeded`; raises `Invalid` if the project has a spend limit and the cost can never be estimated.
    """
    if job.estimated_cost is not None:
        reserve(session, job)
        return
    budget = budgets.budget_of(session, job.project_id)
    if budget is None or budget.spend_limit is None:
        return
    if (reason := costs.why_unknown(job)) is not None:
        raise Invalid(unknown(reason), code=UNKNOWN, param="model")
    budgets.check_open(session, budget)


def unknown(reason: str) -> str:
    return (
        f"What this job would cost is not known: {reason}. The project has a spend limit, and only jobs of known cost "
        "fit into it: choose another model (GET /v1/datasets/{id}/estimate shows whether its price is known), or ask "
        "your operator to remove the limit"
    )


def note_estimates(session: Session, dataset_id: str) -> None:
    """Set the estimate of the jobs that were created before their dataset's tokens had been counted.

    Jobs that wait for it become due. For jobs that were cleared without it, it is reserved even beyond the limit.
    """
    without = select(Job).where(Job.training_file == dataset_id, col(Job.estimated_cost).is_(None))
    for job in session.exec(without.order_by(Job.id).with_for_update(key_share=True)).all():
        costs.note_estimate(session, job)
        if job.estimated_cost is None or job.status.is_final:
            continue
        if job.cleared_at is None:
            make_due(session, job)
        else:
            reserve(session, job, even_beyond_limit=True)


def reserve(session: Session, job: Job, *, even_beyond_limit: bool = False) -> None:
    """Reserve the estimate, unless that was done before. Raises `SpendLimitExceeded`."""
    if job.estimated_cost is None or ledger.reservation_of(session, job.id) is not None:
        return
    budgets.reserve(session, _expense(job, job.estimated_cost), even_beyond_limit=even_beyond_limit)


def end(session: Session, job: Job) -> None:
    """Replace the reservation of a succeeded job by its cost (or estimate, if unknown); release that of another job."""
    if job.status is not JobStatus.SUCCEEDED:
        budgets.release(session, job.id, f"The job is {job.status}")
    elif job.cost is not None:
        budgets.settle(session, _expense(job, job.cost), "The job has succeeded: the tokens that it trained")
    elif job.estimated_cost is not None:
        reason = "The job has succeeded, but the provider does not say what it trained: its estimate"
        budgets.settle(session, _expense(job, job.estimated_cost), reason)


def _expense(job: Job, cost: dict[str, Any]) -> Expense:
    return Expense(
        project_id=job.project_id,
        job_id=job.id,
        line_item=f"{costs.base_name(job)}, training",
        amount=Decimal(cost["amount"]),
        quantity=cost["tokens"],
    )


def adjust(session: Session, project_id: str, job_id: str | None, amount: Decimal, reason: str) -> LedgerEntry:
    """Add a correction to a project's spending, optionally for one of its jobs. Raises `NotFound`."""
    projects.get_project(session, project_id)
    if job_id is not None:
        get_owned(session, Job, job_id, project_id, param="job_id")
    return budgets.adjust(session, project_id, job_id, amount, reason)
