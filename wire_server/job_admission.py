"""What every engine checks in the create call itself: the files, and the limits of a base model."""

import secrets
from collections.abc import Iterable

from wire_server.errors import ApiError
from wire_server.job_requests import Integration, JobCreate
from wire_server.records import ACTIVE, Job, new_id
from wire_server.routes import files
from wire_server.state import State
from wire_server.training_file import Contents

DAY_SECONDS = 24 * 60 * 60


def new_job(state: State, new: JobCreate, model: str) -> Job:
    """The job as the wire shows it, with `model` as its base or parent, and every hyperparameter of its method."""
    method = new.effective_method().on_the_wire()
    return Job(
        id=state.job_id(),
        created_at=int(state.now()),
        hyperparameters=method["supervised"]["hyperparameters"] if method["type"] == "supervised" else {},
        model=model,
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


def training_contents(state: State, file_id: str, param: str) -> Contents:
    """What the file holds. Raises ApiError 404 if there is no such file, 400 if it has another purpose."""
    stored = files.find(state, file_id, param)
    if stored.contents is None:
        message = f"The file {file_id} has the purpose '{stored.file.purpose}'; it must be 'fine-tune'."
        raise ApiError(400, message, code="invalid_value", param=param)
    return stored.contents


def model_not_available(name: str) -> ApiError:
    message = f"Model {name} is not available for fine-tuning or does not exist."
    return ApiError(400, message, code="model_not_available", param="model")


def missing_for_reinforcement(param: str) -> ApiError:
    message = f"Missing required parameter: '{param}', which reinforcement needs."
    return ApiError(400, message, code="missing_required_parameter", param=param)


def check_limits(state: State, base: str, jobs: Iterable[Job]) -> None:
    """Raises ApiError 429 above a base model's limit of active jobs or of jobs in 24 hours. `jobs`: those of the base.

    Refused creates do not count.
    """
    listed, settings = list(jobs), state.settings
    today = sum(job.created_at > state.now() - DAY_SECONDS for job in listed)
    if today >= (most := settings.max_jobs_per_day):
        raise _limited("daily_rate_limit_exceeded", f"{most} fine-tuning requests per day", base)
    active = sum(job.status in ACTIVE for job in listed)
    if active >= (most := settings.max_active_jobs_per_model):
        raise _limited("active_job_limit_exceeded", f"{most} active fine-tuning jobs", base)


def limits(state: State, jobs: Iterable[Job]) -> dict[str, int]:
    """A base model's entry of `model_limits`. `jobs`: those of the base."""
    return {
        "max_total_jobs": state.settings.max_jobs_per_day,
        "max_concurrent_jobs": state.settings.max_active_jobs_per_model,
        "active_jobs": sum(job.status in ACTIVE for job in jobs),
    }


def _limited(code: str, limit: str, base: str) -> ApiError:
    message = (
        "This fine-tune request has been rate-limited. Your organization has reached the maximum of "
        f"{limit} for the model '{base}'."
    )
    return ApiError(429, message, code=code)


def _integration(wanted: Integration) -> dict[str, object]:
    return {"type": "wandb", "wandb": wanted.wandb.model_dump() | {"run_id": new_id("ft-", 8)}}
