"""Jobs, what happened to them, and the models they made."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from shared.broker.queue import Task
from shared.db.columns import EnumField, JSONField, TimeField
from shared.db.tables import Deletable, DueTable, Owned, OwnedDue, Traced
from shared.db.times import utc_now


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
    """What the caller wants and the provider has not been sent yet."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"


class NextAction(StrEnum):
    """What the next step of a job does. docs/how-jobs-work.md draws which action follows which."""

    PREPARE = "prepare"  # check its files and its cost, wait for a slot, then create it at the provider
    FIND = "find"  # search the provider for it, as the create may have arrived or not
    REQUEST = "request"  # pass `Job.request` on to the provider
    POLL = "poll"  # ask the provider how it is


class Priority(IntEnum):
    """The order of the jobs of one project. It does not count between projects."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class Slot(StrEnum):
    """Whether a job has one of the slots at the provider."""

    WAITING = "waiting"  # in its queue, without steps and calls
    HELD = "held"  # at the provider, or about to be created there


class Approval(StrEnum):  # of a job that costs more than its project may spend without being asked
    AWAITED = "awaited"
    APPROVED = "approved"
    REJECTED = "rejected"


class Level(StrEnum):
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


IS_WAITING = "slot = 'waiting' AND status = 'queued'"  # one that is paused keeps its turn, and is passed over
# Its step is due or under way, and may end with a job that asks for a slot. One that waits for a file is due later.
MAY_ASK_FOR_A_SLOT = "slot IS NULL AND status = 'validating_files' AND (due_at <= :now OR failures = 1)"
IS_OPEN = "status NOT IN ('succeeded', 'failed', 'cancelled')"
HAS_NO_LABELS = "(labels IS NULL OR labels = '{}')"
IS_AT_PROVIDER = f"provider_job_id IS NOT NULL AND {IS_OPEN}"
IS_HELD = "slot = 'held' AND status <> 'paused'"  # the provider gives the slot of a paused one to others


class Job(OwnedDue, Traced, table=True):
    """A fine-tuning job. The `provider_…` columns hold the provider's own words."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "project_id", "id"),
        *(Index(None, "project_id", name, "id") for name in ("status", "model")),  # lists filter by them
        Index(None, "project_id", "approval", "id", postgresql_where=text("approval IS NOT NULL")),
        Index("ix_jobs_without_labels", "project_id", "id", postgresql_where=text(HAS_NO_LABELS)),
        Index("ix_jobs_with_all_metrics", "finished_at", postgresql_where=text("metrics_thinned_at IS NULL")),
        Index("ix_jobs_failed", "id", postgresql_where=text("status = 'failed'")),
        Index("ix_jobs_waiting", "queue_id", "project_id", "priority", "id", postgresql_where=text(IS_WAITING)),
        Index("ix_jobs_open", "project_id", postgresql_where=text(IS_OPEN)),
        Index("ix_jobs_held", "queue_id", "project_id", postgresql_where=text(IS_HELD)),
        Index("ix_jobs_by_suffix", "project_id", "suffix", postgresql_ops={"suffix": "text_pattern_ops"}),
        Index("ix_jobs_at_provider", "credential_id", "provider_job_id", postgresql_where=text(IS_AT_PROVIDER)),
    )
    id_prefix: ClassVar[str] = "ftjob-"
    called: ClassVar[str] = "fine-tuning job"
    task: ClassVar[Task] = Task.ADVANCE_JOB

    organization_id: str = Field(foreign_key="organizations.id")
    credential_id: str = Field(foreign_key="credentials.id")
    api_key_id: str | None = Field(default=None, foreign_key="api_keys.id")  # the one that created it
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
    provider_options: dict[str, Any] | None = JSONField(default=None)
    deploy_on_success: bool | None = None  # None: as its project or its account says

    status: JobStatus = EnumField(JobStatus, default=JobStatus.VALIDATING_FILES)
    request: JobRequest | None = EnumField(JobRequest, default=None, nullable=True)
    request_error: dict[str, Any] | None = JSONField(default=None)  # why the last request was not carried out
    next_action: NextAction | None = EnumField(NextAction, default=NextAction.PREPARE, nullable=True)
    error: dict[str, Any] | None = JSONField(default=None)
    fine_tuned_model: str | None = None
    trained_tokens: int | None = Field(default=None, sa_type=BigInteger)
    estimated_cost: dict[str, Any] | None = JSONField(default=None)
    cost: dict[str, Any] | None = JSONField(default=None)
    # When its cost was reserved and approved. Before that the provider sees neither the job nor its files.
    cleared_at: datetime | None = TimeField(default=None)
    approval: Approval | None = EnumField(Approval, default=None, nullable=True)
    result_files: list[str] = JSONField(default_factory=list)
    step: int | None = None
    total_steps: int | None = None
    loss_summary: dict[str, Any] = JSONField(default_factory=dict, sa_column_kwargs={"server_default": text("'{}'")})
    sent_at: datetime | None = TimeField(default=None)
    started_at: datetime | None = TimeField(default=None)
    estimated_finish_at: datetime | None = TimeField(default=None)
    finished_at: datetime | None = TimeField(default=None)
    metrics_thinned_at: datetime | None = TimeField(default=None)
    check_progress: float | None = None
    compared_at: datetime | None = TimeField(default=None)
    priority: int = Priority.NORMAL
    queue_id: str | None = Field(default=None, foreign_key="job_queues.id")
    slot: Slot | None = EnumField(Slot, default=None, nullable=True)  # None before its files are ready, and at the end
    queue_position: int | None = None  # from 1; None if the job is far behind
    estimated_start_at: datetime | None = TimeField(default=None)

    create_pending_at: datetime | None = TimeField(default=None)  # when a create was sent whose outcome is not known
    provider_training_file: str | None = None  # the provider's id of the file that the last create has named
    provider_job_id: str | None = None
    # None while the provider is known to have something new, so that the next poll asks for the status.
    provider_status: str | None = None
    last_provider_event_id: str | None = None
    # When a poll last found something new. The longer ago, the less often the job is polled.
    changed_at: datetime | None = TimeField(default=None)
    # Polls in a row in which the provider did not know the job, or refused the events of one that has ended.
    not_found_count: int = 0
    refusal_count: int = 0  # answers that the present request is not possible now
    unanswered_since: datetime | None = TimeField(default=None)  # since when no call has had a usable answer


class JobLabel(SQLModel, table=True):
    """One pair of a job's labels, by which lists find it. Written by a trigger, in the transaction of the job."""

    __tablename__ = "job_labels"

    project_id: str = Field(foreign_key="projects.id", primary_key=True)
    key: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    job_id: str = Field(foreign_key="jobs.id", primary_key=True)


class Watch(DueTable, table=True):
    """Watches all jobs of one account by the provider's list. Has a `due_at` as long as there are any."""

    __tablename__ = "watches"
    id_prefix: ClassVar[str] = "watch_"
    called: ClassVar[str] = "watch"
    task: ClassVar[Task] = Task.WATCH_JOBS

    credential_id: str = Field(foreign_key="credentials.id", unique=True)
    # When the list last showed something new, or a job was created. The longer ago, the less often it is read.
    changed_at: datetime = TimeField(default_factory=utc_now)
    listed_at: datetime | None = TimeField(default=None)
    next_poll_at: datetime | None = TimeField(default=None)  # of jobs without news, which take turns


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
    """A model saved on the way, usable by its name until the provider drops it: OpenAI keeps a job's last three."""

    __tablename__ = "checkpoints"
    __table_args__ = (
        UniqueConstraint("job_id", "provider_checkpoint_id"),
        Index("ix_checkpoints_lower_model", text("lower(model)")),
    )
    id_prefix: ClassVar[str] = "ftckpt_"
    called: ClassVar[str] = "checkpoint"

    job_id: str = Field(foreign_key="jobs.id")
    provider_checkpoint_id: str
    model: str = Field(index=True)
    step_number: int
    metrics: dict[str, Any] = JSONField(default_factory=dict)
    expired_at: datetime | None = TimeField(default=None)  # when the provider no longer listed it


class TunedModel(OwnedDue, Deletable, table=True):
    """What a job made. Its one step is to be deleted at the provider, once it has been deleted here."""

    __tablename__ = "tuned_models"
    __table_args__ = (
        UniqueConstraint("credential_id", "name"),
        Index(None, "project_id", "id"),
        Index("ix_tuned_models_lower_name", text("lower(name)")),
    )
    id_prefix: ClassVar[str] = "model_"
    called: ClassVar[str] = "model"
    task: ClassVar[Task] = Task.DELETE_MODEL

    job_id: str = Field(foreign_key="jobs.id")
    credential_id: str = Field(foreign_key="credentials.id")
    name: str = Field(index=True)
    base_model: str
    shutdown_date_notified: str | None = None
    last_used_at: datetime | None = TimeField(default=None)  # when it was last asked, up to a minute late
    shutdown_reminder: int | None = None
