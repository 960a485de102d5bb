"""Jobs, what happened to them, and the models they made."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from shared.queue import Task
from shared.tables import Deletable, EnumField, JSONField, Owned, OwnedDue, TimeField


class JobStatus(StrEnum):
    """OpenAI's statuses. While we check and upload, a job is `validating_files`."""

    VALIDATING_FILES = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


class JobRequest(StrEnum):
    """What the caller has asked for and the provider has not yet been told."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


class Level(StrEnum):
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class Job(OwnedDue, table=True):
    """The work.

    `provider_…` columns hold the far side's words; `create_pending_at` marks a create whose end is not known.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "project_id", "id"),)
    id_prefix: ClassVar[str] = "ftjob-"
    called: ClassVar[str] = "fine-tuning job"
    task: ClassVar[Task] = Task.ADVANCE_JOB

    organization_id: str = Field(foreign_key="organizations.id")
    credential_id: str = Field(foreign_key="credentials.id")
    provider: str
    training_file: str = Field(foreign_key="datasets.id", index=True)
    validation_file: str | None = Field(default=None, foreign_key="datasets.id", index=True)
    model: str
    suffix: str | None = None
    seed: int
    method: dict[str, Any] | None = JSONField(default=None)
    hyperparameters: dict[str, Any] = JSONField(default_factory=dict)
    integrations: list[dict[str, Any]] | None = JSONField(default=None)
    labels: dict[str, str] | None = JSONField(default=None)

    status: JobStatus = EnumField(JobStatus, default=JobStatus.VALIDATING_FILES)
    request: JobRequest | None = EnumField(JobRequest, default=None, nullable=True)
    error: dict[str, Any] | None = JSONField(default=None)
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    estimated_cost: dict[str, Any] | None = JSONField(default=None)
    cost: dict[str, Any] | None = JSONField(default=None)
    result_files: list[str] = JSONField(default_factory=list)
    step: int | None = None
    total_steps: int | None = None
    estimated_finish_at: datetime | None = TimeField(default=None)
    finished_at: datetime | None = TimeField(default=None)
    check_progress: float | None = None
    compared_at: datetime | None = TimeField(default=None)

    create_pending_at: datetime | None = TimeField(default=None)
    provider_job_id: str | None = None
    provider_status: str | None = None
    last_provider_event_id: str | None = None


class JobEvent(Owned, table=True):
    """One line of a job's history: the provider's, once each and in its order, or our own."""

    __tablename__ = "job_events"
    __table_args__ = (UniqueConstraint("job_id", "provider_event_id"), Index(None, "job_id", "id"))
    id_prefix: ClassVar[str] = "ftevent-"
    called: ClassVar[str] = "fine-tuning job event"

    job_id: str = Field(foreign_key="jobs.id")
    provider_event_id: str | None = None
    level: Level = EnumField(Level, default=Level.INFO)
    type: str = "message"
    message: str
    data: dict[str, Any] | None = JSONField(default=None)


class Checkpoint(Owned, table=True):
    """A model saved on the way, usable by its name."""

    __tablename__ = "checkpoints"
    __table_args__ = (UniqueConstraint("job_id", "provider_checkpoint_id"),)
    id_prefix: ClassVar[str] = "ftckpt_"
    called: ClassVar[str] = "checkpoint"

    job_id: str = Field(foreign_key="jobs.id")
    provider_checkpoint_id: str
    model: str = Field(index=True)
    step_number: int
    metrics: dict[str, Any] = JSONField(default_factory=dict)


class TunedModel(OwnedDue, Deletable, table=True):
    """What a job made. Its one step is to be deleted at the provider, once it has been deleted here."""

    __tablename__ = "tuned_models"
    __table_args__ = (UniqueConstraint("credential_id", "name"), Index(None, "project_id", "id"))
    id_prefix: ClassVar[str] = "model_"
    called: ClassVar[str] = "model"
    task: ClassVar[Task] = Task.DELETE_MODEL

    job_id: str = Field(foreign_key="jobs.id")
    credential_id: str = Field(foreign_key="credentials.id")
    name: str = Field(index=True)
    base_model: str
    shutdown_date_told: str | None = None
