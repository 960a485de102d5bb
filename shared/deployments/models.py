"""Deployments: tuned models that are made callable at a provider, and cost money by the hour until they are stopped."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field

from shared.broker.queue import Task
from shared.db.columns import AmountField, EnumField, JSONField, TimeField
from shared.db.tables import OwnedDue, Traced


class DeploymentStatus(StrEnum):
    """`requested`: the provider has not been asked yet. `failed` is one that never was ready, or broke."""

    REQUESTED = "requested"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in {DeploymentStatus.STOPPED, DeploymentStatus.FAILED}


IS_WANTED = "status IN ('requested', 'starting', 'ready')"
IS_OPEN = "status NOT IN ('stopped', 'failed')"


class Deployment(OwnedDue, Traced, table=True):
    """A model of one of the project's jobs, deployed. The `provider_…` columns hold the provider's own words.

    `reason`: why it is being stopped, was stopped or has failed, as `code` and `message`. `ends_as`: its last status,
    once that is decided. `chat_model`: the name by which the provider's chat is asked for it.
    `idle_seconds`: it is stopped after so long without a chat; null: never. `last_chat_at`: at most a minute late.
    `price_per_hour`: in US dollars; null if it is not known. `billed_until`: the hours before are in the ledger, and
    one more is reserved. `cost`: what they came to. `looks_ready`: looks in a row at which it was told to be
    ready and did not answer. `not_found_count`: looks in a row at which the provider did not know it.
    """

    __tablename__ = "deployments"
    __table_args__ = (
        Index(None, "project_id", "id"),
        Index("uq_deployments_wanted", "project_id", "model", unique=True, postgresql_where=text(IS_WANTED)),
        Index("ix_deployments_open", "credential_id", postgresql_where=text(IS_OPEN)),
    )
    id_prefix: ClassVar[str] = "dep_"
    called: ClassVar[str] = "deployment"
    task: ClassVar[Task] = Task.ADVANCE_DEPLOYMENT

    credential_id: str = Field(foreign_key="credentials.id")
    provider: str
    job_id: str = Field(foreign_key="jobs.id", index=True)
    model: str
    provider_checkpoint_id: str | None = None
    base_model: str
    provider_options: dict[str, Any] | None = JSONField(default=None)
    idle_seconds: int | None = None

    status: DeploymentStatus = EnumField(DeploymentStatus, default=DeploymentStatus.REQUESTED)
    ends_as: DeploymentStatus | None = EnumField(DeploymentStatus, default=None, nullable=True)
    reason: dict[str, Any] | None = JSONField(default=None)
    chat_model: str | None = None
    ready_at: datetime | None = TimeField(default=None)
    last_chat_at: datetime | None = TimeField(default=None)
    stopped_at: datetime | None = TimeField(default=None)
    price_per_hour: Decimal | None = AmountField(default=None, nullable=True)
    billed_until: datetime | None = TimeField(default=None)
    cost: Decimal = AmountField(default=Decimal())

    create_pending_at: datetime | None = TimeField(default=None)  # when a create was sent whose outcome is not known
    provider_deployment_id: str | None = None
    provider_status: str | None = None
    looks_ready: int = 0
    not_found_count: int = 0
