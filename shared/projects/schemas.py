"""Projects and their model permissions in the shape of OpenAI's administration API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.db.pages import Listed
from shared.db.times import epoch
from shared.projects.models import ModelMode, Project
from shared.projects.quotas import ProjectQuotas

Name = Annotated[str, Field(min_length=1, max_length=64)]


class ProjectCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class ProjectUpdate(BaseModel):
    """Fields that are left out keep their value, in `quotas` too. `max_active_jobs: 0` restores the default of the
    settings, as null does for a quota. `default_provider` is that of accounts which go before the others for a base
    model that several have; an empty text takes it away."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    weight: Annotated[float | None, Field(ge=0.001, le=1000)] = None
    max_active_jobs: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    deploy_on_success: Annotated[bool | None, Field(strict=True)] = None
    default_provider: Annotated[str | None, Field(max_length=64)] = None
    quotas: ProjectQuotas | None = None


class ProjectPublic(Listed):
    """OpenAI's project, with its share of the job queue: `weight` and `max_active_jobs`, and its own `quotas` (null: as
    in the settings)."""

    object: Literal["organization.project"] = "organization.project"
    created_at: int
    archived_at: int | None
    name: str
    status: Literal["active", "archived"]
    weight: float
    max_active_jobs: int | None
    deploy_on_success: bool
    default_provider: str | None
    quotas: ProjectQuotas

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
            deploy_on_success=row.deploy_on_success,
            default_provider=row.default_provider,
            quotas=ProjectQuotas.model_validate(row.quotas),
        )


class ModelPermissionsUpdate(BaseModel):
    """`allow_list`: only these models may be used; `deny_list`: all but these."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    mode: ModelMode
    model_ids: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=1000)]


class ModelPermissionsPublic(BaseModel):
    """A project without a rule shows an empty deny list."""

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
