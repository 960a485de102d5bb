"""The base models that all accounts of a project offer, and whether a file and a method go with one of them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from shared.datasets.models import Dataset
from shared.datasets.validation.findings.report import Report
from shared.datasets.validation.rules.fitness import Misfit, of_file, of_model, of_size
from shared.datasets.validation.rules.limits import rules
from shared.datasets.views import EstimateProblem
from shared.jobs.creation import fitness
from shared.jobs.names.readings import made_by_a_job
from shared.projects import credentials
from shared.projects.credentials import Account, capabilities_of
from shared.projects.model_permissions import ModelRule
from shared.projects.models import Credential
from shared.providers.capabilities import find_wrong_method

MAX_OFFERS = 500  # providers list a hundred bases at most


@dataclass(frozen=True)
class Offer:
    """A base model at an account."""

    credential: Credential
    base: str


def offers(session: Session, project_id: str, rule: ModelRule | None) -> list[Offer]:
    """Those that the project may use, once for each provider: of several accounts the newest."""
    found = dict[tuple[str, str], Offer]()
    for credential in credentials.usable_by(session, project_id):
        for base in credential.base_models:
            found.setdefault((credential.provider, base["id"]), Offer(credential, base["id"]))
    made = made_by_a_job(session, project_id, {offer.base for offer in found.values()})
    may_be_used = [each for each in found.values() if each.base not in made and _is_permitted(rule, each.base)]
    return may_be_used[:MAX_OFFERS]


def order(found: list[EstimateProblem], amount: str | None, provider: str, model: str) -> tuple[Any, ...]:
    """By which offers are sorted: those that fit first, the cheapest before others, those without a price last."""
    is_refused = any(problem.severity == "error" for problem in found)
    return is_refused, amount is None, Decimal(amount or 0), provider, model


def _is_permitted(rule: ModelRule | None, base: str) -> bool:
    return rule is None or rule.allows({base} | rules().names(base))


def misfits(offer: Offer, method: str, dataset: Dataset, report: Report) -> list[Misfit]:
    """Why a job of this method on this file is refused there, and what it is warned of."""
    name, images = offer.credential.provider, report.statistics.image_examples
    file = of_file(report.format, offer.base, method)
    return [
        *of_method(offer.credential, method),
        *of_model(offer.base, method, fitness.shutdown_of(offer.credential, offer.base)),
        *of_size(report.examples, images, dataset.bytes, method, name, Account.of(offer.credential).dialect),
        *filter(None, [file]),
    ]


def of_method(credential: Credential, method: str) -> list[Misfit]:
    """Whether this account's kind of provider does not train by the method."""
    wrong = find_wrong_method(capabilities_of(credential), method)
    return [Misfit("method_not_supported", "method", f"{credential.provider} {wrong}")] if wrong else []
