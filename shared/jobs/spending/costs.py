"""What a job will cost and has cost, where the price of its model is known."""

from datetime import date
from typing import Any

from sqlmodel import Session

from shared.datasets import reports
from shared.datasets.models import Dataset
from shared.datasets.prices import Price, estimate, price_of
from shared.datasets.validation.rules.limits import rules
from shared.db.times import utc_now
from shared.jobs.models import Job


def note_estimate(session: Session, job: Job) -> None:
    """Put the estimate on a new job, if its dataset's tokens have been counted as its model reads them.

    If they have not, they will be, and `spending.note_estimates` comes back to it.
    """
    base, report = rules().model(job.model), reports.of_dataset(session, job.training_file)
    day = job.created_at.date()
    if base is None or report is None or _price(job, day) is None:
        return
    dataset = session.get_one(Dataset, job.training_file)
    counted = reports.in_encoding(session, dataset, report, base.encoding) if report.encoding else None
    if counted is None:
        return
    epochs = job.hyperparameters.get("n_epochs")
    found = estimate(counted, job.model, _method(job), epochs, provider=job.provider, on=day)
    if found.amount is not None and found.billed_tokens is not None:
        job.estimated_cost = _cost(str(found.amount), found.currency, found.billed_tokens)


def why_unknown(job: Job) -> str | None:
    """Why nobody can say what this job will cost; None if its tokens, once they are counted, will tell."""
    price = _price(job, job.created_at.date())
    if price is None:
        return f"the price of training {job.model} with the method {_method(job)} at {job.provider} is not known here"
    if price.per_million_tokens is None:
        return f"training {job.model} with the method {_method(job)} is billed by time"
    return None


def note_cost(job: Job) -> None:
    """Put what it has cost on a job that has succeeded, by the tokens that the provider says it has trained."""
    price = _price(job, utc_now().date())
    if job.trained_tokens is not None and price is not None and price.per_million_tokens is not None:
        amount = price.per_million_tokens * job.trained_tokens / 1_000_000
        job.cost = _cost(str(amount), price.currency, job.trained_tokens)


def base_name(job: Job) -> str:
    """The snapshot that is trained, or tuned on: what its price goes by."""
    base = rules().model(job.model)
    return base.name if base else job.model


def _price(job: Job, day: date) -> Price | None:
    """What training it costs on that day; None if that is not known."""
    base = rules().model(job.model)
    return price_of(job.provider, base.name, _method(job), day) if base else None


def _method(job: Job) -> str:
    return str((job.method or {}).get("type", "supervised"))


def _cost(amount: str, currency: str | None, tokens: int) -> dict[str, Any]:
    return {"amount": amount, "currency": currency, "tokens": tokens}
