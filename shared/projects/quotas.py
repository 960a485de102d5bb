"""Quotas: how much one project may keep. The settings say it for all, an admin for one."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session, select

from shared.projects.models import Project
from shared.settings import get_settings

Count = Annotated[int | None, Field(ge=0, le=10**15)]


class ProjectQuotas(BaseModel):
    """What an admin has set for one project; null is the default of the settings, 0 lets nothing be added."""

    model_config = ConfigDict(extra="forbid")

    file_bytes: Count = None
    files: Count = None
    pending_uploads: Count = None
    webhook_endpoints: Count = None
    events_per_day: Count = None
    idempotency_keys: Count = None
    api_keys: Count = None
    credentials: Count = None
    deployments: Count = None


class Quotas(BaseModel):
    """The quotas in force for a project; None is no limit."""

    model_config = ConfigDict(frozen=True)

    file_bytes: int | None
    files: int | None
    pending_uploads: int | None
    webhook_endpoints: int | None
    events_per_day: int | None
    idempotency_keys: int | None
    api_keys: int | None
    credentials: int | None
    deployments: int | None


def quotas_in_force(session: Session, project_id: str) -> Quotas:
    own = session.exec(select(Project.quotas).where(Project.id == project_id)).one_or_none()
    settings = get_settings()
    of_all = settings.quotas.model_dump() | {"webhook_endpoints": settings.max_webhook_endpoints}
    return Quotas.model_validate({**of_all, **(own or {})})
