"""Jobs, events, checkpoints and models as OpenAI's wire has them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from shared.db.pages import Listed, OfRow
from shared.db.times import epoch
from shared.jobs.methods import Hyperparameters, Method, resolved_method
from shared.jobs.metrics import best_valid_loss
from shared.jobs.models import Approval, Checkpoint, Job, JobEvent, JobRequest, JobStatus, Level
from shared.json_fields import Metadata

ProviderOptionName = Annotated[str, Field(max_length=64)]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]


class Wandb(BaseModel):
    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Field(max_length=256)]
    name: Annotated[str | None, Field(max_length=256)] = None
    entity: Annotated[str | None, Field(max_length=256)] = None
    tags: Annotated[list[Annotated[str, Field(max_length=256)]] | None, Field(max_length=50)] = None


class Integration(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["wandb"]
    wandb: Wandb


class JobCreate(BaseModel):
    """OpenAI's request. `hyperparameters` is its older way to say `method.supervised.hyperparameters`: what both say
    must be the same. `provider` names that of the account to train at, where several of the project's offer the model.

    With `from_job`, the id of a job of the project, all that is left out is as it was asked for there: also the model
    and the training file, which are required otherwise. `hyperparameters` then change those of that job's method.
    `priority` says who of the project's own waiting jobs goes first; `normal` unless told. `deploy_on_success`: whether
    the model is deployed when the job has succeeded, where the provider needs that; left out, as the project or the
    account says. To ask for it, the key needs the scope `deployments:write`.
    """

    model_config = ConfigDict(extra="forbid")

    from_job: Annotated[str | None, Field(max_length=64)] = None
    model: ModelName | None = None
    training_file: Annotated[str | None, Field(max_length=64)] = None
    validation_file: Annotated[str | None, Field(max_length=64)] = None
    suffix: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    seed: Annotated[int | None, Field(ge=0, le=2**31 - 1, strict=True)] = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    integrations: Annotated[list[Integration] | None, Field(max_length=5)] = None
    metadata: Metadata | None = None
    priority: Literal["low", "normal", "high"] | None = None
    provider: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    provider_options: Annotated[dict[ProviderOptionName, Any] | None, Field(max_length=16)] = None
    deploy_on_success: Annotated[bool | None, Field(strict=True)] = None

    @field_validator("hyperparameters")
    @classmethod
    def _says_what_the_method_says(cls, older: Hyperparameters | None, info: ValidationInfo) -> Hyperparameters | None:
        if older is not None and (method := info.data.get("method")) is not None:
            method.check_same(older)
        return older


class JobError(BaseModel):
    code: str
    message: str
    param: str | None


class Cost(BaseModel):
    """An exact decimal amount of money, as a text, and the tokens that it pays for."""

    amount: str
    currency: str
    tokens: int


class JobPublic(OfRow):
    """OpenAI's job object, and beside it `project_id`, `provider`, `provider_job_id` and `progress` (0–1).

    `check_progress` (0–1) is how far the check of its files is, null when the job does not wait for one.
    `estimated_cost` is there once the tokens have been counted, `cost` once the provider has said how many it trained;
    both are null where the price is not known. `approval` is `awaited` while the job, `queued`, waits until somebody
    says that it may cost so much; null where nobody needs to. While it waits for a free slot at the provider,
    `queue_position` is its position in the order in which jobs are expected to be admitted (from 1), and
    `estimated_start` (Unix seconds) when that may be; null when it is not known. `request` is `cancel`, `pause` or
    `resume` until the provider has been passed it, and `request_error` why the last one was not carried out.
    `api_key_id` is the key that created it. It was created at the provider at `sent_at`, and first seen training at
    `started_at`. `deploy_on_success` is what its request said, null if nothing. `best_valid_loss` is the lowest so far
    on the whole validation file, else on parts of it.
    """

    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    error: JobError | None
    fine_tuned_model: str | None
    finished_at: int | None
    hyperparameters: dict[str, Any]
    model: str
    organization_id: str
    result_files: list[str]
    status: JobStatus
    trained_tokens: int | None
    training_file: str
    validation_file: str | None
    seed: int
    integrations: list[dict[str, Any]] | None
    estimated_finish: int | None
    method: dict[str, Any] | None
    metadata: dict[str, str] | None
    user_provided_suffix: str | None
    project_id: str
    provider: str
    provider_job_id: str | None
    api_key_id: str | None
    sent_at: int | None
    started_at: int | None
    best_valid_loss: float | None
    progress: float | None
    check_progress: float | None
    estimated_cost: Cost | None
    cost: Cost | None
    approval: Approval | None
    priority: Literal["low", "normal", "high"]
    provider_options: dict[str, Any] | None
    deploy_on_success: bool | None
    queue_position: int | None
    estimated_start: int | None
    request: JobRequest | None
    request_error: JobError | None

    @classmethod
    def of(cls, row: Job) -> "JobPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            error=JobError(**row.error) if row.error else None,
            fine_tuned_model=row.fine_tuned_model,
            finished_at=epoch(row.finished_at) if row.finished_at else None,
            hyperparameters=row.hyperparameters,
            organization_id=row.organization_id,
            result_files=row.result_files,
            status=shown_status(row),
            trained_tokens=row.trained_tokens,
            estimated_finish=epoch(row.estimated_finish_at) if row.estimated_finish_at else None,
            method=resolved_method(row),
            metadata=row.labels,
            user_provided_suffix=row.suffix,
            project_id=row.project_id,
            provider=row.provider,
            provider_job_id=row.provider_job_id,
            api_key_id=row.api_key_id,
            sent_at=epoch(row.sent_at) if row.sent_at else None,
            started_at=epoch(row.started_at) if row.started_at else None,
            best_valid_loss=best_valid_loss(row),
            progress=progress(row),
            check_progress=row.check_progress if row.status is JobStatus.VALIDATING_FILES else None,
            estimated_cost=Cost(**row.estimated_cost) if row.estimated_cost else None,
            cost=Cost(**row.cost) if row.cost else None,
            approval=row.approval,
            priority=_PRIORITIES[row.priority],
            **{name: getattr(row, name) for name in _AS_ASKED},
            queue_position=row.queue_position,
            estimated_start=epoch(row.estimated_start_at) if row.estimated_start_at else None,
            request=row.request,
            request_error=JobError(**row.request_error) if row.request_error else None,
        )


def shown_status(job: Job) -> JobStatus:
    """A job whose resume was accepted goes to `queued`, and is shown so before the provider has been asked."""
    is_resumed = job.status is JobStatus.PAUSED and job.request is JobRequest.RESUME
    return JobStatus.QUEUED if is_resumed else job.status


_AS_ASKED = (
    *("model", "training_file", "validation_file", "seed", "integrations", "provider_options", "deploy_on_success"),
)
_PRIORITIES: dict[int, Literal["low", "normal", "high"]] = {0: "high", 1: "normal", 2: "low"}


def progress(job: Job) -> float | None:
    """The share of steps done, from the provider's newest metrics; null before the first."""
    if job.status is JobStatus.SUCCEEDED:
        return 1.0
    return round(job.step / job.total_steps, 4) if job.step is not None and job.total_steps else None


class JobEventPublic(OfRow):
    """OpenAI's event object; `metrics` events have `step`, `total_steps` and losses in `data`."""

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Level
    message: str
    type: Literal["message", "metrics"]
    data: dict[str, Any] | None

    @classmethod
    def of(cls, row: JobEvent) -> "JobEventPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            level=row.level,
            message=row.message,
            type="metrics" if row.type == "metrics" else "message",
            data=row.data,
        )


class CheckpointPublic(Listed):
    """OpenAI's checkpoint object: `fine_tuned_model_checkpoint` is a model name that can be used."""

    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: dict[str, Any]

    @classmethod
    def of(cls, row: Checkpoint) -> "CheckpointPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            fine_tuned_model_checkpoint=row.model,
            fine_tuning_job_id=row.job_id,
            step_number=row.step_number,
            metrics=row.metrics,
        )
