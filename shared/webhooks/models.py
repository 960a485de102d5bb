"""Where to tell, what to tell, and how telling went."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from shared.broker.queue import Task
from shared.db.columns import EnumField, JSONField, TimeField
from shared.db.tables import Deletable, Owned, OwnedDue


class DisabledReason(StrEnum):
    GONE = "gone"
    FAILING = "failing"
    REQUESTED = "requested"


class WebhookEndpoint(Owned, Deletable, table=True):
    """An address of a project that is told of its events. The signing secrets are sealed.

    `failing_since` and `consecutive_failures` are of the attempts since the last that succeeded; until `paused_until`
    nothing is sent, so that an address that keeps failing costs little.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index(None, "project_id", "id"),)
    id_prefix: ClassVar[str] = "we_"
    called: ClassVar[str] = "webhook endpoint"

    name: str
    url: str
    event_types: list[str] = JSONField(default_factory=list)
    full_payloads: bool = False
    updated_at: datetime = TimeField()
    sealed_secret: str
    signing_secret_hint: str
    sealed_old_secret: str | None = None
    old_secret_expires_at: datetime | None = TimeField(default=None)
    failing_since: datetime | None = TimeField(default=None)
    consecutive_failures: int = 0
    paused_until: datetime | None = TimeField(default=None)
    enqueued_at: datetime | None = TimeField(default=None)
    disabled_at: datetime | None = TimeField(default=None)
    disabled_reason: DisabledReason | None = EnumField(DisabledReason, default=None, nullable=True)
    missed_since: datetime | None = TimeField(default=None)

    @property
    def place(self) -> str:
        """Where its secrets are sealed for."""
        return f"{self.project_id}/{self.id}"


class WebhookEvent(Owned, table=True):
    """What happened. It never changes: a retry repeats it. One that only tries out a receiver `is_test`."""

    __tablename__ = "webhook_events"
    __table_args__ = (Index(None, "project_id", "id"), Index(None, "object_id"))
    id_prefix: ClassVar[str] = "evt_"
    called: ClassVar[str] = "webhook event"

    type: str
    object_id: str
    data: dict[str, Any] = JSONField()
    is_test: bool = False


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class FailureReason(StrEnum):
    EXHAUSTED = "attempts_exhausted"
    TEST = "test_failed"
    DISABLED = "endpoint_disabled"
    DELETED = "endpoint_deleted"
    INTERNAL = "internal_error"


_IS_DUE = text("due_at IS NOT NULL")


class WebhookDelivery(OwnedDue, table=True):
    """One event for one endpoint. Its id is the `webhook-id` of every attempt.

    `attempts` counts those of the current round: a delivery that is asked for again begins a new one.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        Index(None, "endpoint_id", "id"),
        Index("ix_webhook_deliveries_endpoint_due", "endpoint_id", "due_at", postgresql_where=_IS_DUE),
        Index("ix_webhook_deliveries_project_due", "project_id", "due_at", postgresql_where=_IS_DUE),
    )
    id_prefix: ClassVar[str] = "wh_"
    called: ClassVar[str] = "webhook delivery"
    task: ClassVar[Task] = Task.DELIVER_WEBHOOKS
    enqueue_column: ClassVar[str] = "endpoint_id"

    event_id: str = Field(foreign_key="webhook_events.id")
    endpoint_id: str = Field(foreign_key="webhook_endpoints.id")
    is_full: bool = False
    status: DeliveryStatus = EnumField(DeliveryStatus, default=DeliveryStatus.PENDING)
    failure_reason: FailureReason | None = EnumField(FailureReason, default=None, nullable=True)
    attempts: int = 0
    finished_at: datetime | None = TimeField(default=None)


class WebhookAttempt(Owned, table=True):
    """One HTTP request: what was sent to which address, and what came back, or why nothing did.

    The body that was sent is the event's; of the answer the first 2 KiB are kept.
    """

    __tablename__ = "webhook_attempts"
    id_prefix: ClassVar[str] = "att_"

    delivery_id: str = Field(foreign_key="webhook_deliveries.id", index=True)
    url: str
    address: str | None = None
    request_headers: dict[str, str] = JSONField(default_factory=dict)
    response_status: int | None = None
    response_headers: list[list[str]] | None = JSONField(default=None)
    response_body: str | None = None
    error: str | None = None
    duration_ms: int
    finished_at: datetime = TimeField()


class RecoveryStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


class WebhookRecovery(OwnedDue, table=True):
    """A request to deliver what an endpoint has missed between two times. Each step goes through some of the events."""

    __tablename__ = "webhook_recoveries"
    id_prefix: ClassVar[str] = "whrec_"
    called: ClassVar[str] = "webhook recovery"
    task: ClassVar[Task] = Task.RECOVER_WEBHOOKS

    endpoint_id: str = Field(foreign_key="webhook_endpoints.id", index=True)
    since: datetime = TimeField()
    until: datetime = TimeField()
    status: RecoveryStatus = EnumField(RecoveryStatus, default=RecoveryStatus.IN_PROGRESS)
    last_event_id: str | None = None
    events: int = 0
    deliveries: int = 0
    finished_at: datetime | None = TimeField(default=None)
