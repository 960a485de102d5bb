"""Refuses a new job of which it is known that it cannot succeed: a wrong model, a wrong method, or the wrong files."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlmodel import Session

from shared.datasets import reports
from shared.datasets.models import Dataset
from shared.datasets.validation.findings.codes import CODES, Severity, severity_of
from shared.datasets.validation.rules import fitness
from shared.datasets.validation.rules.fitness import Misfit, of_file, of_model
from shared.datasets.validation.rules.limits import rules
from shared.datasets.views import EstimateProblem
from shared.errors import Invalid
from shared.jobs import tuned_models
from shared.projects.models import Credential
from shared.settings import get_settings


def check(
    session: Session, project_id: str, credential: Credential, columns: dict[str, Any], files: dict[str, Dataset]
) -> list[str]:
    """Return the warnings for a new job, given its `columns` and its files by parameter.

    Raises `Invalid` for the first error. A file that is still being checked is judged by the worker.
    """
    model, method = columns["model"], columns["method"]["type"]
    warnings = []
    for misfit in of_job(session, project_id, credential, model, method):
        if is_error(misfit):
            raise Invalid(misfit.message, code=openai_code(misfit, misfit.about), param=misfit.about)
        warnings.append(misfit.message)
    base = tuned_models.base_of(session, project_id, model)
    for param, dataset in files.items():
        if (unfit := of_dataset(session, dataset, base, method)) is not None:
            raise Invalid(unfit.message, code=openai_code(unfit, param), param=param)
    return warnings


def is_error(misfit: Misfit) -> bool:
    return misfit.code not in CODES or severity_of(misfit.code) is Severity.ERROR


def openai_code(misfit: Misfit, param: str) -> str:
    """Return what OpenAI calls it in its answer to a create; `param` is the parameter that it is about."""
    code = misfit.code
    if misfit.about == "training_file":
        code = "invalid_training_file"
        if param != "training_file":
            code = "invalid_validation_file"
    elif misfit.about == "method":
        code = "invalid_value"
    elif is_error(misfit) and code != "model_not_found":
        code = "model_not_available"
    return code


def of_dataset(session: Session, dataset: Dataset, base: str, method: str) -> Misfit | None:
    """Judge a file by its report; None if it fits or has not been checked yet."""
    report = reports.of_dataset(session, dataset.id)
    return of_file(report.format, base, method) if report else None


def of_job(session: Session, project_id: str, credential: Credential, model: str, method: str | None) -> list[Misfit]:
    """Judge a model and a method at an account. As long as its list of models is unknown, all names and dates pass."""
    base = tuned_models.base_of(session, project_id, model)
    if not tuned_models.is_own(session, project_id, model) and (sentence := _unavailable(credential, base)):
        return [Misfit("model_not_available", "model", sentence)]
    return of_model(base, method, shutdown_of(credential, base))


def problems(misfits: Iterable[Misfit]) -> list[EstimateProblem]:
    """What a create with the same model, method and file is refused for, or warned of."""
    return [
        EstimateProblem(
            severity="error" if is_error(misfit) else "warning",
            code=openai_code(misfit, misfit.about),
            param=misfit.about,
            message=misfit.message,
        )
        for misfit in misfits
    ]


def _unavailable(credential: Credential, base: str) -> str | None:
    """Why a base model cannot be tuned at this account: the operator's choice, then the provider's list."""
    settings = get_settings().provider
    named = settings.base_models if credential.project_id is None else ()
    listed = [each["id"] for each in credential.base_models]
    names = rules().names(base)
    if named and not any(names & rules().names(each) for each in named):
        return f"The model {base} is not one of those that may be fine-tuned here: {', '.join(named)}"
    if listed and not any(names & rules().names(each) for each in listed):
        sentence = f"The model {base} is not available for fine-tuning or does not exist"
        return f"{sentence}: GET /v1/models lists those that can be fine-tuned"
    return None


def shutdown_of(credential: Credential, base: str) -> date | None:
    """The day that the provider's own list names. Where it names none, a published day that is still to come.

    A published day that has passed does not count against a base that the provider still offers.
    """
    if not credential.base_models:
        return None
    stated = [each.get("shutdown_date") for each in credential.base_models if each["id"] in rules().names(base)]
    try:
        return date.fromisoformat(next(filter(None, stated), ""))
    except ValueError:
        published = fitness.published_shutdown(base, credential.provider)
        return published if published and published > fitness.today() else None
