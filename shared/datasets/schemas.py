"""A dataset as OpenAI's `file` object."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.datasets.models import Dataset, DatasetStatus, Purpose
from shared.pages import Listed
from shared.tables import epoch

Unsaid = Field(exclude_if=lambda value: value is None)  # the SDKs of some languages refuse a null here
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
