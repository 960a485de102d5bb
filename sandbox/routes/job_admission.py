"""Checks what OpenAI checks in the create call itself: model, method, files and limits; file contents fail later."""

import secrets

from sandbox.datasets.training_file import Dataset
from sandbox.errors import ApiError
from sandbox.models import BASES
from sandbox.records import ACTIVE, Job, TunedModel, new_id
from sandbox.routes import files
from sandbox.routes.job_requests import Integration, JobCreate
from sandbox.runs import Run
from sandbox.state import State

DAY_SECONDS = 24 * 60 * 60


def admit(state: State, new: JobCreate) -> Run:
    """The new job, not started. Raises ApiError: 400 for its model or method, 404 for a file, 429 for a limit."""
    parent = state.models.get(new.model)
    base = _tunable_base(new.model, parent)
    method = new.effective_method().on_the_wire()
    _check_method(base, new)
    training = _dataset(state, new.training_file, "training_file")
    validation = _dataset(state, new.validation_file, "validation_file") if new.validation_file else None
    _check_limits(state, base)
    now = state.now()
    job = Job(
        id=new_id("ftjob-"),
        created_at=int(now),
        hyperparameters=method["supervised"]["hyperparameters"] if method["type"] == "supervised" else {},
        model=new.model if parent else base,
        organization_id=state.settings.organization_id,
        result_files=[],
        training_file=new.training_file,
        validation_file=new.validation_file,
        seed=secrets.randbelow(2**31) if new.seed is None else new.seed,
        integrations=[_integration(wanted) for wanted in new.integrations or []],
        method=method,
        metadata=new.metadata,
        user_provided_suffix=new.suffix,
    )
    run = Run(job, base, training, validation, now)
    run.inherited = parent.memory if parent else ()
    return run


def _tunable_base(name: str, parent: TunedModel | None) -> str:
    """The snapshot behind a name. Raises ApiError 400 `model_not_available` if it cannot be tuned."""
    base = BASES.get(parent.base if parent else name)
    if base is None or not base.methods:
        message = f"Model {name} is not available for fine-tuning or does not exist."
        raise ApiError(400, message, code="model_not_available", param="model")
    return base.id


def _check_method(base: str, new: JobCreate) -> None:
    method = new.effective_method()
    if method.type not in BASES[base].methods:
        possible = ", ".join(BASES[base].methods)
        message = f"The method {method.type} is not available for {base}, which can be tuned by: {possible}."
        raise ApiError(400, message, code="invalid_value", param="method")
    if method.type != "reinforcement":
        return
    if method.reinforcement is None:
        raise _missing("method.reinforcement")
    if new.validation_file is None:
        raise _missing("validation_file")


def _missing(param: str) -> ApiError:
    message = f"Missing required parameter: '{param}', which reinforcement needs."
    return ApiError(400, message, code="missing_required_parameter", param=param)


def _dataset(state: State, file_id: str, param: str) -> Dataset:
    """The file's dataset. Raises ApiError 404 if there is no such file, 400 if it has another purpose."""
    stored = files.find(state, file_id, param)
    if stored.dataset is None:
        message = f"The file {file_id} has the purpose '{stored.file.purpose}'; it must be 'fine-tune'."
        raise ApiError(400, message, code="invalid_value", param=param)
    return stored.dataset


def _check_limits(state: State, base: str) -> None:
    """Raises ApiError 429 above a model's limit of active jobs or of jobs in 24 hours. Refused creates do not count."""
    runs = [run for run in state.runs.values() if run.base == base]
    today = sum(run.job.created_at > state.now() - DAY_SECONDS for run in runs)
    if today >= (most := state.settings.max_jobs_per_day):
        raise _limited("daily_rate_limit_exceeded", f"{most} fine-tuning requests per day", base)
    active = sum(run.job.status in ACTIVE for run in runs)
    if active >= (most := state.settings.max_active_jobs_per_model):
        raise _limited("active_job_limit_exceeded", f"{most} active fine-tuning jobs", base)


def _limited(code: str, limit: str, base: str) -> ApiError:
    message = (
        "This fine-tune request has been rate-limited. Your organization has reached the maximum of "
        f"{limit} for the model '{base}'."
    )
    return ApiError(429, message, code=code)


def _integration(wanted: Integration) -> dict[str, object]:
    return {"type": "wandb", "wandb": wanted.wandb.model_dump() | {"run_id": new_id("ft-", 8)}}
