"""What a training on a dataset would cost: on one model, or wherever the project could train it."""

from collections.abc import Callable
from functools import cache, partial

from sqlmodel import Session

from shared.datasets import collection, reports
from shared.datasets.models import Dataset, DatasetStatus
from shared.datasets.pricing.estimate import estimate, method_for
from shared.datasets.pricing.table import own_prices
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.rules.fitness import Misfit, of_file
from shared.datasets.validation.rules.limits import rules
from shared.datasets.views import EstimatePublic
from shared.errors import Invalid, NotFound
from shared.jobs import tuned_models
from shared.jobs.creation import fitness
from shared.jobs.elsewhere.offers import misfits, of_method, offers, order
from shared.projects.model_permissions import ModelRule


def counted_report(session: Session, project_id: str, dataset_id: str) -> tuple[Dataset, Report]:
    """Return a dataset and its report with tokens.

    Raises `NotFound`, and `Invalid`: `dataset_not_checked` before they are counted, or the code of a bad file.
    """
    dataset = collection.get_dataset(session, project_id, dataset_id)
    report = collection.get_report(session, dataset)
    if dataset.status is DatasetStatus.ERROR:
        raise Invalid(dataset.status_details or "The dataset is invalid", code=dataset.error_code)
    if report.encoding is None:
        sentence = f"The tokens of {dataset.id} are still being counted: repeat the request in a moment"
        raise Invalid(sentence, code="dataset_not_checked")
    return dataset, report


def of_model(
    session: Session,
    project_id: str,
    dataset_id: str,
    model: str,
    method: str | None = None,
    n_epochs: int | None = None,
    provider: str | None = None,
) -> EstimatePublic:
    """Estimate a job on this model, at the account that would train it. Raises as `counted_report` does."""
    dataset, report = counted_report(session, project_id, dataset_id)
    method, found = method or method_for(report.format), list[Misfit]()
    try:
        credential = tuned_models.account_to_tune(session, project_id, model, provider)
    except NotFound as error:
        provider, found = provider or report.provider, [Misfit(error.code, "model", error.message)]
    else:
        provider, base = credential.provider, tuned_models.base_of(session, project_id, model)
        found = of_method(credential, method) + fitness.of_job(session, project_id, credential, model, method)
        found += filter(None, [of_file(report.format, base, method)])
    in_encoding = partial(reports.in_encoding, session, dataset, report)
    public = _public(dataset, report, in_encoding, model, method, n_epochs, provider)
    public.problems = fitness.problems(found)
    return public


def everywhere(
    session: Session,
    project_id: str,
    rule: ModelRule | None,
    dataset_id: str,
    method: str | None = None,
    n_epochs: int | None = None,
    provider: str | None = None,
) -> list[EstimatePublic]:
    """Estimate a job on each base that the project could tune: those that fit first, the cheapest before others.

    Raises as `counted_report` does.
    """
    dataset, report = counted_report(session, project_id, dataset_id)
    method = method or method_for(report.format)
    in_encoding, found = cache(partial(reports.in_encoding, session, dataset, report)), []
    for offer in offers(session, project_id, rule):
        if provider in (None, offer.credential.provider):
            each = _public(dataset, report, in_encoding, offer.base, method, n_epochs, offer.credential.provider)
            each.problems = fitness.problems(misfits(offer, method, dataset, report))
            found.append(each)
    return sorted(found, key=lambda each: order(each.problems, each.amount, each.provider, each.model))


def _public(
    dataset: Dataset,
    report: Report,
    in_encoding: Callable[[str], Report | None],
    model: str,
    method: str,
    n_epochs: int | None,
    provider: str,
) -> EstimatePublic:
    """`in_encoding`: the report with the tokens of an encoding, None while they are counted."""
    base = rules().model(model)
    counted = in_encoding(base.encoding) if base else report
    found = estimate(counted or report, model, method, n_epochs, provider=provider, own=own_prices())
    public = EstimatePublic.of(dataset.id, found)
    if base and counted is None:
        public.reason = (
            f"The tokens are being counted in {base.encoding}, the encoding of {base.name}: repeat the request soon"
        )
    return public
