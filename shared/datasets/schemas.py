"""A dataset as OpenAI's `file` object, and the `upload` that one sent in parts begins as."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.datasets.models import Dataset, DatasetStatus, Purpose, Upload, UploadPart, UploadStatus
from shared.db.pages import Listed
from shared.db.times import epoch

Unsaid = Field(exclude_if=lambda value: value is None)  # the SDKs of some languages refuse a null here
MOST_PARTS = 10_000
UploadPurpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


class ExpiresAfter(BaseModel):
    """How long a file is kept: `seconds` after its creation, an hour to thirty days."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class FilePublic(Listed):
    """OpenAI's file object. `expires_at` and `status_details` are left out when there is nothing to say."""

    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose
    status: DatasetStatus
    status_details: Annotated[str | None, Unsaid] = None
    expires_at: Annotated[int | None, Unsaid] = None

    @classmethod
    def of(cls, row: Dataset) -> "FilePublic":
        return cls(
            id=row.id,
            bytes=row.bytes,
            created_at=epoch(row.created_at),
            filename=row.filename,
            purpose=row.purpose,
            status=row.status,
            status_details=row.status_details,
            expires_at=epoch(row.expires_at) if row.expires_at else None,
        )


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class UploadCreate(BaseModel):
    """What is to come: `bytes` in all, in parts whose sum must be exactly that. `expires_after` is the file's."""

    model_config = ConfigDict(extra="forbid")

    filename: Annotated[str, Field(max_length=4096)]
    purpose: UploadPurpose
    bytes: Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]
    mime_type: Annotated[str, Field(max_length=255)]
    expires_after: ExpiresAfter | None = None


class UploadComplete(BaseModel):
    """The parts in the order of the file, and optionally the MD5 of the whole in hexadecimal."""

    model_config = ConfigDict(extra="forbid")

    part_ids: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MOST_PARTS)]
    md5: Annotated[str | None, Field(pattern=r"^[0-9a-fA-F]{32}$")] = None


class UploadPublic(Listed):
    """OpenAI's upload object. `expires_at` is when it stops taking parts; `file` is there once it is completed."""

    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose
    status: UploadStatus
    expires_at: int
    file: Annotated[FilePublic | None, Unsaid] = None

    @classmethod
    def of(cls, row: Upload, status: UploadStatus, dataset: Dataset | None) -> "UploadPublic":
        return cls(
            id=row.id,
            bytes=row.bytes,
            created_at=epoch(row.created_at),
            filename=row.filename,
            purpose=row.purpose,
            status=status,
            expires_at=epoch(row.expires_at),
            file=FilePublic.of(dataset) if dataset is not None else None,
        )


class UploadPartPublic(Listed):
    """OpenAI's part object, and beside it how many `bytes` were received and their SHA-256 in hexadecimal."""

    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, row: UploadPart) -> "UploadPartPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            upload_id=row.upload_id,
            bytes=row.bytes,
            sha256=row.sha256,
        )
