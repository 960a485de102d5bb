"""The bodies of `/v1/files` and `/v1/uploads`: OpenAI's `file`, `upload` and `upload.part` objects."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.datasets.models import Dataset, DatasetStatus, Purpose, Upload, UploadPart, UploadStatus
from shared.db.pages import Listed, OfRow
from shared.db.times import epoch
from shared.json_fields import Pattern

OmittedIfNone = Field(exclude_if=lambda value: value is None)  # the SDKs of some languages refuse a null here
MAX_PARTS_PER_UPLOAD = 10_000  # bounds the request that names them in order, and the manifest
UploadPurpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]


class ExpiresAfter(BaseModel):
    """When a file expires: `seconds` after its creation, 3600 (an hour) to 2592000 (30 days)."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


class FilePublic(OfRow):
    """OpenAI's file object. `expires_at` and `status_details` are omitted, not null, when they have no value."""

    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose
    status: DatasetStatus
    status_details: Annotated[str | None, OmittedIfNone] = None
    expires_at: Annotated[int | None, OmittedIfNone] = None

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
    """A file to be sent in parts, whose sizes must add up to `bytes`. `expires_after` applies to the resulting file."""

    model_config = ConfigDict(extra="forbid")

    filename: Annotated[str, Field(max_length=4096)]
    purpose: UploadPurpose
    bytes: Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]
    mime_type: Annotated[str, Field(max_length=255)]
    expires_after: ExpiresAfter | None = None


class UploadComplete(BaseModel):
    """The ids of the parts in the order of the file. `md5`: of the whole file in hexadecimal, verified if given."""

    model_config = ConfigDict(extra="forbid")

    part_ids: Annotated[
        list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MAX_PARTS_PER_UPLOAD)
    ]
    md5: Annotated[str, Pattern("[0-9a-fA-F]{32}", "An MD5 has 32 hexadecimal digits")] | None = None


class UploadPublic(Listed):
    """OpenAI's upload object. No part is accepted after `expires_at`. `file` is omitted until it is completed."""

    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose
    status: UploadStatus
    expires_at: int
    file: Annotated[FilePublic | None, OmittedIfNone] = None

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
    """OpenAI's part object, with two fields of Tunery: the received `bytes` and their SHA-256 in hexadecimal."""

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
