"""The tables of datasets, of their files at providers, and of uploads in parts."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Computed, Index, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from shared.broker.queue import Task
from shared.db.columns import EnumField, JSONField, TimeField
from shared.db.tables import Deletable, Owned, OwnedDue, Traced


class Purpose(StrEnum):
    """What a file is for, in OpenAI's words. Only `fine-tune` is checked and sent to a provider."""

    ASSISTANTS = "assistants"
    BATCH = "batch"
    FINE_TUNE = "fine-tune"
    VISION = "vision"
    USER_DATA = "user_data"
    EVALS = "evals"
    FINE_TUNE_RESULTS = "fine-tune-results"


class DatasetStatus(StrEnum):
    UPLOADED = "uploaded"
    PROCESSED = "processed"
    ERROR = "error"


IS_THERE = "deleted_at IS NULL"


class Dataset(OwnedDue, Traced, Deletable, table=True):
    """A file of a project: OpenAI's `file` object.

    The worker's steps, in order: fetch or split the bytes if they were not uploaded (`source`), check them, count their
    tokens, expire the dataset, and remove the bytes of a deleted one.

    `sha256` is empty until the bytes are stored. `check_progress` (0 to 1) is null while no check runs.
    """

    __tablename__ = "datasets"
    __table_args__ = (
        Index(None, "project_id", "id"),
        Index(None, "project_id", "filename"),
        Index(None, "project_id", "purpose", "id", postgresql_where=text(IS_THERE)),
        Index(None, "project_id", "split_of", postgresql_where=text("split_of IS NOT NULL")),
        Index("ix_datasets_there", "project_id", "id", postgresql_where=text(IS_THERE)),
        Index("ix_datasets_in_error", "id", postgresql_where=text("status = 'error'")),
    )
    id_prefix: ClassVar[str] = "file-"
    called: ClassVar[str] = "File object"
    task: ClassVar[Task] = Task.ADVANCE_DATASET

    name: str | None = None
    labels: dict[str, str] | None = JSONField(default=None)
    source: dict[str, Any] | None = JSONField(default=None)
    # In a column of its own, since under row-level security no index finds what is inside `source`.
    split_of: str | None = Field(
        default=None, sa_column=Column(String, Computed("source ->> 'split_of'", persisted=True))
    )
    filename: str
    bytes: int = Field(sa_type=BigInteger)
    sha256: str
    purpose: Purpose = EnumField(Purpose)
    status: DatasetStatus = EnumField(DatasetStatus, default=DatasetStatus.UPLOADED)
    error_code: str | None = None
    status_details: str | None = None
    examples: int | None = None
    check_progress: float | None = None
    expires_at: datetime | None = TimeField(default=None)


class ProjectStorage(SQLModel, table=True):
    """The files that a project has now, and their bytes. Written by a trigger at the commit."""

    __tablename__ = "project_storage"

    project_id: str = Field(foreign_key="projects.id", primary_key=True)
    files: int = Field(sa_type=BigInteger)
    bytes: int = Field(sa_type=BigInteger)


class ProviderFileStatus(StrEnum):
    PENDING = "pending"
    UPLOADED = "uploaded"
    FAILED = "failed"


class ProviderFile(OwnedDue, Traced, table=True):
    """A dataset's file at a provider: uploaded when a job first needs it, once per credential.

    `upload_pending_at` is set before the upload begins: after a crash the worker looks for the file at the
    provider before it uploads again. `provider_upload_id` and `part_ids` are of an upload in parts that has not ended.
    """

    __tablename__ = "provider_files"
    __table_args__ = (UniqueConstraint("dataset_id", "credential_id"),)
    id_prefix: ClassVar[str] = "pfile_"
    task: ClassVar[Task] = Task.UPLOAD_DATASET

    dataset_id: str = Field(foreign_key="datasets.id")
    credential_id: str = Field(foreign_key="credentials.id")
    status: ProviderFileStatus = EnumField(ProviderFileStatus, default=ProviderFileStatus.PENDING)
    provider_file_id: str | None = Field(default=None, index=True)
    provider_upload_id: str | None = None
    part_ids: list[str] = JSONField(default_factory=list)
    upload_pending_at: datetime | None = TimeField(default=None)
    expires_at: datetime | None = TimeField(default=None)
    error_code: str | None = None
    error_message: str | None = None


class UploadStatus(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Upload(OwnedDue, table=True):
    """A file that a client sends in parts. The worker expires it, and removes the parts that no dataset uses.

    `file_seconds` is the lifetime of the resulting file. `part_ids` is the order in which it was completed.
    """

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_pending", "project_id", postgresql_where=text("status = 'pending'")),)
    id_prefix: ClassVar[str] = "upload_"
    called: ClassVar[str] = "Upload object"
    task: ClassVar[Task] = Task.CLOSE_UPLOAD

    filename: str
    bytes: int = Field(sa_type=BigInteger)
    purpose: Purpose = EnumField(Purpose)
    file_seconds: int | None = None
    status: UploadStatus = EnumField(UploadStatus, default=UploadStatus.PENDING)
    expires_at: datetime = TimeField()
    part_ids: list[str] | None = JSONField(default=None)
    dataset_id: str | None = Field(default=None, foreign_key="datasets.id")


class UploadPart(Owned, table=True):
    """A received part of an upload. Its bytes are stored under its id."""

    __tablename__ = "upload_parts"
    id_prefix: ClassVar[str] = "part_"
    called: ClassVar[str] = "Part object"

    upload_id: str = Field(foreign_key="uploads.id", index=True)
    bytes: int = Field(sa_type=BigInteger)
    sha256: str
