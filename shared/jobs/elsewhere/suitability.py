"""At which of a project's providers a dataset can be trained on, and why not at the others."""

from typing import Literal

from pydantic import BaseModel
from sqlmodel import Session

from shared.datasets import collection
from shared.datasets.pricing.estimate import method_for
from shared.datasets.views import EstimateProblem
from shared.jobs.creation import fitness
from shared.jobs.elsewhere.offers import misfits, offers
from shared.projects.model_permissions import ModelRule


class DatasetProvider(BaseModel):
    """A provider where the project has an account. `verdict`: whether a job of `method` on this dataset can run there.

    `models`: the bases that can be tuned so, of those that the project may use; `problems`: why it is refused,
    for the base with the fewest reasons.
    """

    object: Literal["dataset.provider"] = "dataset.provider"
    provider: str
    verdict: Literal["fits", "refused"]
    method: str
    models: list[str]
    problems: list[EstimateProblem]


class DatasetProviderList(BaseModel):
    """All at once: those where it fits first."""

    object: Literal["list"] = "list"
    data: list[DatasetProvider]


def providers_of(
    session: Session, project_id: str, rule: ModelRule | None, dataset_id: str, method: str | None
) -> list[DatasetProvider]:
    """Judge a checked dataset for each provider. Raises `NotFound`, and `Invalid` before it is checked."""
    dataset = collection.get_dataset(session, project_id, dataset_id)
    report = collection.get_report(session, dataset)
    method = method or method_for(report.format)
    by_provider: dict[str, DatasetProvider] = {}
    for offer in offers(session, project_id, rule):
        name, found = offer.credential.provider, misfits(offer, method, dataset, report)
        errors = [each for each in found if fitness.is_error(each)]
        here = by_provider.setdefault(
            name,
            DatasetProvider(
                provider=name, verdict="refused", method=method, models=[], problems=fitness.problems(errors)
            ),
        )
        if not errors:
            here.verdict = "fits"
            here.models.append(offer.base)
        if len(errors) < len(here.problems):
            here.problems = fitness.problems(errors)
    return sorted(by_provider.values(), key=lambda each: (each.verdict != "fits", each.provider))
