"""Where to tell, what to tell, and how telling went."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field

from shared.queue import Task
from shared.tables import Deletable, EnumField, JSONField, Owned, OwnedDue, TimeField


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class WebhookEndpoint(Owned, Deletable, table=True):
    """An address of a project that is told of its events. The signing secret is sealed."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index(None, "project_id", "id"),)
    id_prefix: ClassVar[str] = "we_"
    called: ClassVar[str] = "webhook endpoint"

    name: str
    url: str
    event_types: list[str] = JSONField(default_factory=list)
    sealed_secret: str
    signing_secret_hint: str


class WebhookEvent(Owned, table=True):
    """What happened. It never changes: a retry repeats it."""

    __tablename__ = "webhook_events"
    id_prefix: ClassVar[str] = "evt_"

    type: str
    data: dict[str, Any] = JSONField()


class WebhookDelivery(OwnedDue, table=True):
    """One event for one endpoint. Its id is the `webhook-id` of every attempt."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index(None, "endpoint_id", "id"),)
    id_prefix: ClassVar[str] = "wh_"
    called: ClassVar[str] = "webhook delivery"
    task: ClassVar[Task] = Task.DELIVER_WEBHOOK

    event_id: str = Field(foreign_key="webhook_events.id")
    endpoint_id: str = Field(foreign_key="webhook_endpoints.id")
    status: DeliveryStatus = EnumField(DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts: int = 0


class WebhookAttempt(Owned, table=True):
    """One HTTP request: what came back, the first 2 kB of it, or why nothing did."""

    __tablename__ = "webhook_attempts"
    id_prefix: ClassVar[str] = "att_"

    delivery_id: str = Field(foreign_key="webhook_deliveries.id", index=True)
    response_status: int | None = None
    response_body: str | None = None
    error: str | None = None
    duration_ms: int
    finished_at: datetime = TimeField()
