"""Projects, and what models they may use, as OpenAI's administration API has them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.db.pages import Listed
from shared.db.times import epoch
from shared.projects.models import ModelMode, Project

Name = Annotated[str, Field(min_length=1, max_length=64)]


class ProjectCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class ProjectUpdate(BaseModel):
    """What is left out stays. `weight` and `max_active_jobs` are its part in the queue; 0 takes the latter away."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    weight: Annotated[float | None, Field(ge=0.001, le=1000)] = None
    max_active_jobs: Annotated[int | None, Field(ge=0, lt=2**31)] = None


class ProjectPublic(Listed):
    """OpenAI's project object, and beside it its part in the queue: `max_active_jobs` null is as the settings say."""

    object: Literal["organization.project"] = "organization.project"
    created_at: int
    archived_at: int | None
    name: str
    status: Literal["active", "archived"]
    weight: float
    max_active_jobs: int | None

    @classmethod
    def of(cls, row: Project) -> "ProjectPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            archived_at=epoch(row.archived_at) if row.archived_at else None,
            name=row.name,
            status="archived" if row.archived_at else "active",
            weight=row.weight,
            max_active_jobs=row.max_active_jobs,
        )


class ModelPermissionsUpdate(BaseModel):
    """`allow_list`: these models and no others; `deny_list`: all but these."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    mode: ModelMode
    model_ids: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=1000)]


class ModelPermissionsPublic(BaseModel):
    """Of a project without a rule: a deny list with nothing in it."""

    model_config = ConfigDict(protected_namespaces=())

    object: Literal["project.model_permissions"] = "project.model_permissions"
    mode: ModelMode
    model_ids: list[str]

    @classmethod
    def of(cls, row: Project) -> "ModelPermissionsPublic":
        return cls(mode=row.model_mode or ModelMode.DENY_LIST, model_ids=row.model_ids)


class ModelPermissionsDeleted(BaseModel):
    object: Literal["project.model_permissions.deleted"] = "project.model_permissions.deleted"
    deleted: Literal[True] = True
