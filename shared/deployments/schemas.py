"""Deployments as the API shows them. OpenAI's API has none."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.budgets.amounts import text_of
from shared.budgets.models import CURRENCY
from shared.db.pages import Listed
from shared.db.times import epoch
from shared.deployments.models import Deployment, DeploymentStatus
from shared.jobs.schemas import ModelName, ProviderOptionName

MIN_IDLE_SECONDS, MAX_IDLE_SECONDS = 600, 30 * 86400


class DeploymentCreate(BaseModel):
    """`model`: a model or a checkpoint that a job of the project has made.

    `idle_timeout`: seconds without a chat after which it is stopped, from ten minutes to thirty days; 0 is never, and
    left out it is as the installation is configured. `provider_options`: what the provider takes beside, such as
    machines.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: ModelName
    idle_timeout: Annotated[int | None, Field(ge=0, le=MAX_IDLE_SECONDS, strict=True)] = None
    provider_options: Annotated[dict[ProviderOptionName, Any] | None, Field(max_length=16)] = None


class Reason(BaseModel):
    code: str
    message: str


class DeploymentCost(BaseModel):
    """What it has cost so far, by whole hours until it stops, as an exact decimal."""

    amount: str
    currency: Literal["USD"]


class DeploymentPublic(Listed):
    """A deployment. Times are Unix seconds; `reason` says why it stops, was stopped, or has failed.

    `price_per_hour` is in US dollars, as a text, and null if it is not known; `cost` is null then too.
    """

    object: Literal["deployment"] = "deployment"
    created_at: int
    project_id: str
    model: str
    fine_tuning_job_id: str
    base_model: str
    status: DeploymentStatus
    reason: Reason | None
    idle_timeout: int | None
    ready_at: int | None
    last_chat_at: int | None
    stopped_at: int | None
    price_per_hour: str | None
    cost: DeploymentCost | None
    provider: str
    provider_deployment_id: str | None
    provider_status: str | None
    provider_options: dict[str, Any] | None

    @classmethod
    def of(cls, row: Deployment) -> "DeploymentPublic":
        price = row.price_per_hour
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            project_id=row.project_id,
            model=row.model,
            fine_tuning_job_id=row.job_id,
            base_model=row.base_model,
            status=row.status,
            reason=Reason(**row.reason) if row.reason else None,
            idle_timeout=row.idle_seconds,
            ready_at=_seconds(row.ready_at),
            last_chat_at=_seconds(row.last_chat_at),
            stopped_at=_seconds(row.stopped_at),
            price_per_hour=text_of(price) if price is not None else None,
            cost=DeploymentCost(amount=text_of(row.cost), currency=CURRENCY) if price is not None else None,
            provider=row.provider,
            provider_deployment_id=row.provider_deployment_id,
            provider_status=row.provider_status,
            provider_options=row.provider_options,
        )


def _seconds(time: datetime | None) -> int | None:
    return epoch(time) if time is not None else None
