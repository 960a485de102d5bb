"""What a job will cost and has cost, where the price of its model is known."""

from typing import Any

from sqlmodel import Session, col, select

from shared.datasets import reports
from shared.datasets.models import Dataset
from shared.datasets.prices import estimate, price_of
from shared.datasets.validation.rules import rules
from shared.jobs.models import Job
from shared.tables import utc_now


def note_estimate(session: Session, job: Job) -> None:
    """Put the estimate on a new job, if its dataset's tokens have been counted as its model reads them.

    If they have not, they will be, and `note_estimates` comes back to it.
    """
    base, report = rules().model(job.model), reports.of_dataset(session, job.training_file)
    day = job.created_at.date()
    if base is None or report is None or price_of(job.provider, base.name, _method(job), day) is None:
        return
    dataset = session.get_one(Dataset, job.training_file)
    counted = reports.in_encoding(session, dataset, report, base.encoding) if report.encoding else None
    if counted is None:
        return
    epochs = job.hyperparameters.get("n_epochs")
    found = estimate(counted, job.model, _method(job), epochs, provider=job.provider, on=day)
    if found.amount is not None and found.billed_tokens is not None:
        job.estimated_cost = _cost(str(found.amount), found.currency, found.billed_tokens)


def note_estimates(session: Session, dataset_id: str) -> None:
    """Put the estimate on the jobs that were there before the tokens of their dataset had been counted."""
    without = select(Job).where(Job.training_file == dataset_id, col(Job.estimated_cost).is_(None))
    for job in session.exec(without.order_by(Job.id).with_for_update(key_share=True)):
        note_estimate(session, job)


def note_cost(job: Job) -> None:
    """Put what it has cost on a job that has succeeded, by the tokens that the provider says it has trained."""
    base = rules().model(job.model)
    price = price_of(job.provider, base.name, _method(job), utc_now().date()) if base else None
    if job.trained_tokens is not None and price is not None and price.per_million_tokens is not None:
        amount = price.per_million_tokens * job.trained_tokens / 1_000_000
        job.cost = _cost(str(amount), price.currency, job.trained_tokens)


def _method(job: Job) -> str:
    return str((job.method or {}).get("type", "supervised"))


def _cost(amount: str, currency: str | None, tokens: int) -> dict[str, Any]:
    return {"amount": amount, "currency": currency, "tokens": tokens}
