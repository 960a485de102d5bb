"""Reserves a job's estimated cost and waits for its approval, before anything of it is sent to the provider."""

from decimal import Decimal

from sqlmodel import Session

from shared.budgets import service as budgets
from shared.budgets.amounts import money
from shared.budgets.models import Budget
from shared.datasets import reports
from shared.datasets.models import Dataset
from shared.db.claims import make_due, release
from shared.db.owned import get_owned, list_owned
from shared.db.times import utc_now
from shared.errors import Invalid, SpendLimitExceeded
from shared.jobs import service as jobs
from shared.jobs.models import Approval, Job, JobStatus
from shared.jobs.spending import costs, reservation
from shared.projects import service as projects
from shared.webhooks.event_types import EventType


def clear(session: Session, job: Job) -> bool:
    """Reserve the estimate of a job whose files are checked. Returns whether it may go on to the provider.

    If not, the job now waits, for its tokens to be counted or for approval, or it has failed.
    """
    if job.cleared_at is not None:
        return True
    budget = budgets.budget_of(session, job.project_id)
    if budget is not None and budget.needs_estimates and job.estimated_cost is None:
        if costs.why_unknown(job) is None and _is_being_counted(session, job):
            release(job, utc_now() + jobs.WAIT_FOR_FILES)
            return False
        if budget.spend_limit is not None:
            reason = costs.why_unknown(job) or f"the tokens of {job.training_file} could not be counted"
            jobs.fail(session, job, reservation.UNKNOWN, reservation.unknown(reason))
            return False
    try:
        reservation.reserve(session, job)
    except SpendLimitExceeded as refusal:
        jobs.fail(session, job, refusal.code, refusal.message)
        return False
    if _needs_approval(budget, job):
        _await_approval(session, job)
        return False
    job.cleared_at = utc_now()
    return True


def _is_being_counted(session: Session, job: Job) -> bool:
    dataset = session.get_one(Dataset, job.training_file)
    has_a_step = dataset.due_at is not None and dataset.due_at != dataset.expires_at
    return has_a_step and reports.next_encoding(session, dataset.id) is not None


def _needs_approval(budget: Budget | None, job: Job) -> bool:
    """An unknown cost needs approval. A job that waits for it keeps waiting, even if the amount was raised since."""
    if job.approval is not None:
        return job.approval is Approval.AWAITED
    if budget is None or budget.approval_above is None:
        return False
    return job.estimated_cost is None or Decimal(job.estimated_cost["amount"]) > budget.approval_above


def _await_approval(session: Session, job: Job) -> None:
    if job.approval is None:
        job.approval = Approval.AWAITED
        jobs.add_event(session, job, f"Waiting for approval: the job may cost {_about(job)}")
        jobs.move(session, job, JobStatus.QUEUED)
        jobs.notify(session, job, EventType.JOB_APPROVAL_REQUIRED)
    release(job, None)


def _about(job: Job) -> str:
    if job.estimated_cost is None:
        return "any amount, as its price is not known"
    return money(Decimal(job.estimated_cost["amount"]), job.estimated_cost["currency"])


def list_jobs(
    session: Session, project_id: str, approval: Approval | None, *, after: str | None, limit: int
) -> list[Job]:
    """Return up to `limit` + 1 jobs, newest first; with `approval` only those in that state of approval."""
    projects.get_project(session, project_id)
    where = [] if approval is None else [Job.approval == approval]
    return list_owned(session, Job, project_id, *where, after=after, limit=limit)


def approve(session: Session, project_id: str, job_id: str) -> Job:
    """Approve a waiting job, which continues at once; a paused one continues when it is resumed. Raises `Invalid`."""
    job = _awaiting(session, project_id, job_id)
    job.approval = Approval.APPROVED
    jobs.add_event(session, job, "Approved")
    if job.status is JobStatus.QUEUED:
        make_due(session, job)
    return job


def reject(session: Session, project_id: str, job_id: str, reason: str | None) -> Job:
    """Cancel a job that waits for approval, with the reason in its `error`. Raises `Invalid`."""
    job = _awaiting(session, project_id, job_id)
    message = f"Not approved: {reason}" if reason else "Not approved"
    job.approval = Approval.REJECTED
    job.error = {"code": "approval_rejected", "message": message, "param": None}
    jobs.add_event(session, job, message)
    jobs.move(session, job, JobStatus.CANCELLED)
    return job


def _awaiting(session: Session, project_id: str, job_id: str) -> Job:
    job = get_owned(session, Job, job_id, project_id, param="job_id", lock=True)
    if job.approval is not Approval.AWAITED:
        known = f"it was {job.approval} before" if job.approval else f"it is {job.status}"
        raise Invalid(f"The job does not wait for an approval: {known}", code="invalid_job_status", param="job_id")
    return job
