"""Computes a job's estimated and actual cost, if the price of its model is known."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from shared.budgets.models import CURRENCY
from shared.datasets import reports
from shared.datasets.models import Dataset
from shared.datasets.pricing.estimate import estimate
from shared.datasets.pricing.table import Price, own_prices, price_of
from shared.datasets.validation.findings.report import DEFAULT_ENCODING, Report
from shared.datasets.validation.rules.limits import first_base, rules
from shared.db.times import utc_now
from shared.jobs.models import Job


def note_estimate(session: Session, job: Job) -> None:
    """Set the estimate of a job, if its dataset's tokens have been counted in the model's encoding.

    Otherwise the count is requested, and `reservation.note_estimates` sets the estimate after it.
    """
    base, report = rules().model(job.model), reports.of_dataset(session, job.training_file)
    day = job.created_at.date()
    if report is None or _price(job, day) is None:
        return
    dataset = session.get_one(Dataset, job.training_file)
    encoding = base.encoding if base else DEFAULT_ENCODING
    counted = reports.in_encoding(session, dataset, report, encoding) if report.encoding else None
    if counted is None:
        return
    epochs = job.hyperparameters.get("n_epochs")
    job.estimated_cost = estimated(counted, job.model, job.provider, method_of(job), epochs, day) or job.estimated_cost


def estimated(
    report: Report | None, model: str, provider: str, method: str, epochs: Any, day: date | None = None
) -> dict[str, Any] | None:
    """What a job would cost on a day, by default today; None if the price or the model's tokens are not known."""
    found = estimate(report, model, method, epochs, provider=provider, on=day, own=own_prices()) if report else None
    if found is None or found.amount is None or found.billed_tokens is None:
        return None
    return _cost(str(found.amount), found.currency, found.billed_tokens)


def why_unknown(job: Job) -> str | None:
    """Return why this job's cost cannot be estimated; None if it can be, now or once its tokens are counted."""
    price = _price(job, job.created_at.date())
    if price is None:
        return f"the price of training {job.model} with the method {method_of(job)} at {job.provider} is not known here"
    if price.per_million_tokens is None:
        return f"training {job.model} with the method {method_of(job)} is billed by time"
    return None


def note_cost(job: Job, billed: Decimal | None) -> None:
    """Set the cost of a succeeded job: what the provider says it has billed, in US dollars, else by its tokens."""
    price = _price(job, utc_now().date())
    if billed is not None:
        job.cost = _cost(str(billed), CURRENCY, job.trained_tokens or 0)
    elif job.trained_tokens is not None and price is not None and price.per_million_tokens is not None:
        amount = price.per_million_tokens * job.trained_tokens / 1_000_000
        job.cost = _cost(str(amount), price.currency, job.trained_tokens)


def base_name(job: Job) -> str:
    """Return the base model's snapshot, for which prices are listed, also for a job on a tuned model."""
    base = rules().model(job.model)
    return base.name if base else first_base(job.model)


def _price(job: Job, day: date) -> Price | None:
    """Return the price of training it on that day; None if unknown."""
    return price_of(job.provider, base_name(job), method_of(job), day, own_prices())


def method_of(job: Job) -> str:
    return str((job.method or {}).get("type", "supervised"))


def _cost(amount: str, currency: str | None, tokens: int) -> dict[str, Any]:
    return {"amount": amount, "currency": currency, "tokens": tokens}
