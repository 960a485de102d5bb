"""Where else a job could run: the same data on another base or at another provider, and what would be different."""

from typing import Any, Literal

from pydantic import BaseModel
from sqlmodel import Session

from shared.datasets import reports
from shared.datasets.models import Dataset
from shared.datasets.validation.findings.report import Report
from shared.datasets.views import EstimateProblem
from shared.db.owned import get_owned
from shared.jobs.creation import fitness, new_job
from shared.jobs.elsewhere.offers import Offer, misfits, offers, order
from shared.jobs.elsewhere.translation import carry_over
from shared.jobs.models import Job
from shared.jobs.schemas import Cost, JobCreate
from shared.jobs.spending import costs
from shared.jobs.tuned_models import stated_end
from shared.projects.callers import Caller


class Alternative(BaseModel):
    """A base at an account where the job could run again.

    `request` is the body of the create that does it. `changes`: what it would leave out of what the job asked for.
    `problems`: what it would be refused for, or warned of. `estimated_cost` is null where the price is not known, or
    the tokens have not been counted for this model.
    """

    object: Literal["fine_tuning.alternative"] = "fine_tuning.alternative"
    provider: str
    model: str
    request: dict[str, Any]
    changes: list[str]
    problems: list[EstimateProblem]
    estimated_cost: Cost | None
    shutdown_date: str | None


class AlternativeList(BaseModel):
    """All at once: those that fit first, the cheapest before others."""

    object: Literal["list"] = "list"
    data: list[Alternative]


def alternatives(session: Session, caller: Caller, job_id: str) -> list[Alternative]:
    """Judge each base that the project could tune, but that of the job at its provider. Raises `NotFound`."""
    job = get_owned(session, Job, job_id, caller.project_id, param="fine_tuning_job_id")
    dataset, report = session.get_one(Dataset, job.training_file), reports.of_dataset(session, job.training_file)
    base = costs.base_name(job)
    others = [
        each
        for each in offers(session, caller.project_id, caller.model_rule)
        if (each.base, each.credential.provider) != (base, job.provider)
    ]
    return sorted((_alternative(job, each, dataset, report) for each in others), key=_order)


def _order(found: Alternative) -> tuple[Any, ...]:
    cost = found.estimated_cost
    return order(found.problems, cost.amount if cost else None, found.provider, found.model)


def _alternative(job: Job, offer: Offer, dataset: Dataset, report: Report | None) -> Alternative:
    new = JobCreate(from_job=job.id, model=offer.base, provider=offer.credential.provider)
    asked = new_job.columns(new, job)
    changes = carry_over(offer.credential, asked, new, job)
    method = asked["method"]["type"]
    found = misfits(offer, method, dataset, report) if report else []
    cost = costs.estimated(report, offer.base, offer.credential.provider, method, asked["hyperparameters"]["n_epochs"])
    return Alternative(
        provider=offer.credential.provider,
        model=offer.base,
        request=new.model_dump(exclude_none=True),
        changes=changes,
        problems=fitness.problems(found),
        estimated_cost=Cost(**cost) if cost else None,
        shutdown_date=stated_end(offer.base, offer.credential.base_models),
    )
