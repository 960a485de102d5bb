"""What a new job shall be: as its request says, and for the rest like the job that it shall be a copy of."""

import secrets
from typing import Any

from sqlmodel import Session

from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus
from shared.db.owned import get_owned
from shared.errors import Invalid
from shared.jobs import tuned_models
from shared.jobs.models import Job, Priority
from shared.jobs.names.readings import in_graders
from shared.jobs.schemas import JobCreate
from shared.projects import credentials
from shared.projects.callers import Caller
from shared.projects.credentials import Account
from shared.projects.model_permissions import rule_of
from shared.projects.models import Credential, Project
from shared.providers import options

_USUAL: dict[str, Any] = {"type": "supervised", "supervised": {"hyperparameters": {}}}


def copied(session: Session, project_id: str, new: JobCreate) -> Job | None:
    """The job that the new one shall be a copy of. Raises `NotFound`."""
    return None if new.from_job is None else get_owned(session, Job, new.from_job, project_id, param="from_job")


def columns(new: JobCreate, before: Job | None) -> dict[str, Any]:
    """The columns of the job that say what is wanted: as the request says, else as of `before`, of which it is a copy.

    A request that leaves too much open is refused.
    """
    found = _given(new)
    if before is not None:
        found = {name: getattr(before, name) if value is None else value for name, value in found.items()}
    for param in ("model", "training_file"):
        if found[param] is None:
            sentence = f"{param}: Field required, unless from_job names a job to be copied"
            raise Invalid(sentence, code="missing_required_parameter", param=param)
    if found["seed"] is None:
        found["seed"] = secrets.randbelow(2**31)
    if found["priority"] is None:
        found["priority"] = Priority.NORMAL
    found["integrations"] = found["integrations"] or None
    found["method"] = _method(found["method"] or _USUAL, new)
    return {**found, "hyperparameters": _hyperparameters(found["method"])}


def provider(session: Session, project_id: str, new: JobCreate, before: Job | None) -> str | None:
    """The provider that a request names; for the same job again, that of the job, if the project is still there."""
    if new.provider is not None or before is None or new.model is not None:
        return new.provider
    there = {each.provider for each in credentials.usable_by(session, project_id)}
    return before.provider if before.provider in there else None


def files(session: Session, project_id: str, asked: dict[str, Any]) -> dict[str, Dataset]:
    """The job's files, by parameter. Raises `NotFound`, and `Invalid` for one that cannot be trained on."""
    return {
        param: datasets.get_for_training(session, project_id, asked[param], param)
        for param in ("training_file", "validation_file")
        if asked[param] is not None
    }


def check_scope(caller: Caller, asked: dict[str, Any]) -> None:
    """Raises `Forbidden` if the key may not deploy, and the job shall."""
    if asked["deploy_on_success"]:
        caller.check("deployments:write")


def check_models(session: Session, project: Project, asked: dict[str, Any]) -> None:
    """Raises `Forbidden` for a model that the project may not use, the models of graders included."""
    rule, graders = rule_of(project), in_graders(asked["method"])
    tuned_models.check_permitted(session, project.id, rule, asked["model"])
    for field, name in graders:
        tuned_models.check_permitted(session, project.id, rule, name, param=field)
    tuned_models.check_named_beside(session, project.id, graders)


def provider_options(
    credential: Credential, given: dict[str, Any] | None, table: options.Known = options.OPTIONS
) -> dict[str, Any] | None:
    """Return the options as this account's kind of provider takes them.

    Raises `Invalid` for an option, or a value of one, that it does not take.
    """
    dialect = Account.of(credential).dialect
    problem = options.find_problem(dialect, given or {}, table)
    if problem is not None:
        shown = problem.name if problem.name.isidentifier() and problem.name.isascii() else None
        param = f"provider_options.{shown}" if shown else "provider_options"
        code = "unknown_parameter" if problem.is_unknown else "invalid_value"
        raise Invalid(f"{param}: {problem.sentence}", code=code, param=param)
    return options.as_sent(dialect, given, table) if given is not None else None


def accepted_sentence(session: Session, job: Job, new: JobCreate) -> str:
    """Return the job's first event. A file that is not checked yet is the reason why a later job may start first."""
    copied = f", a copy of {new.from_job}" if new.from_job else ""
    files = [session.get_one(Dataset, id) for id in (job.training_file, job.validation_file) if id is not None]
    unchecked = " and ".join(file.id for file in files if file.status is DatasetStatus.UPLOADED)
    if not unchecked:
        return f"Job accepted{copied}: its files are checked and sent to the provider"
    return f"Job accepted{copied}: it waits for the check of {unchecked}. Jobs made later may start before it"


def _given(new: JobCreate) -> dict[str, Any]:
    """None for what is left out."""
    integrations = (
        None if new.integrations is None else [each.model_dump(exclude_none=True) for each in new.integrations]
    )
    return {
        "model": new.model,
        "training_file": new.training_file,
        "validation_file": new.validation_file,
        "suffix": new.suffix,
        "seed": new.seed,
        "method": new.method.model_dump(exclude_none=True) if new.method else None,
        "integrations": integrations,
        "labels": new.metadata,
        "provider_options": new.provider_options,
        "deploy_on_success": new.deploy_on_success,
        "priority": Priority[new.priority.upper()] if new.priority else None,
    }


def _method(method: dict[str, Any], new: JobCreate) -> dict[str, Any]:
    """Hyperparameters that are given in the older way go into a method that is not given."""
    asked = new.hyperparameters.model_dump(exclude_none=True) if new.hyperparameters and not new.method else {}
    if not asked:
        return method
    block = method.get(method["type"]) or {}
    return {**method, method["type"]: {**block, "hyperparameters": {**block.get("hyperparameters", {}), **asked}}}


def _hyperparameters(method: dict[str, Any]) -> dict[str, Any]:
    """The three that OpenAI's job object always shows; the provider's answer will say what `auto` came to."""
    asked = (method.get(method["type"]) or {}).get("hyperparameters") or {}
    return {name: asked.get(name, "auto") for name in ("n_epochs", "batch_size", "learning_rate_multiplier")}
