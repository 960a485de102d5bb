"""Projects as OpenAI's administration API has them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.pages import Listed
from shared.projects.models import ApiKey, Project
from shared.tables import epoch


class ProjectCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)]


class ProjectPublic(Listed):
    """A tenant. `status` is `active`: projects cannot be archived yet."""

    object: Literal["organization.project"] = "organization.project"
    created_at: int
    archived_at: int | None = None
    name: str
    status: Literal["active"] = "active"

    @classmethod
    def of(cls, row: Project) -> "ProjectPublic":
        return cls(id=row.id, created_at=epoch(row.created_at), name=row.name)


class ApiKeyPublic(Listed):
    """OpenAI's key object without its owner, and beside it when it stops working. The secret is never shown again."""

    object: Literal["organization.project.api_key"] = "organization.project.api_key"
    name: str
    redacted_value: str
    created_at: int
    expires_at: int | None

    @classmethod
    def of(cls, row: ApiKey) -> "ApiKeyPublic":
        return cls(
            id=row.id,
            name=row.name,
            redacted_value=row.hint,
            created_at=epoch(row.created_at),
            expires_at=epoch(row.expires_at) if row.expires_at else None,
        )
