"""The tables of webhook endpoints, of events, and of their deliveries, attempts and recoveries."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from shared.broker.queue import Task
from shared.db.columns import EnumField, JSONField, TimeField
from shared.db.tables import Deletable, Owned, OwnedDue, Traced
from shared.db.times import utc_now


class DisabledReason(StrEnum):
    GONE = "gone"
    FAILING = "failing"
    REQUESTED = "requested"


class WebhookEndpoint(Owned, Deletable, table=True):
    """A URL to which a project's events are sent. Its signing secrets are sealed.

    `failing_since` and `consecutive_failures` count from the first failure after the last success. Nothing is sent
    before `paused_until`, so a receiver that keeps failing holds no sender. Events since `missed_since` may not have
    arrived.
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
    def pause_end(self) -> datetime | None:
        """Until when nothing is sent to it; None if it is not paused now."""
        return self.paused_until if self.paused_until is not None and self.paused_until > utc_now() else None

    @property
    def seal_context(self) -> str:
        """The context of its sealed secrets: copied to another row they cannot be opened."""
        return f"{self.project_id}/{self.id}"


class WebhookEvent(Owned, table=True):
    """Something that happened in a project. A row never changes: each attempt sends the same. `is_test`: a sample."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        Index(None, "project_id", "id"),
        Index("ix_webhook_events_by_type", "project_id", "type", "id"),
        Index(None, "object_id"),
    )
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
_NOT_SUCCEEDED = text("status IN ('pending', 'failed')")
# The first seven letters of an id are those of the same 33 seconds. An event and its delivery have the same, unless a
# recovery made the delivery, or these seconds were just over.
MADE_LATER = "substr(webhook_deliveries.id, 4, 7) <> substr(webhook_deliveries.event_id, 5, 7)"
MADE_WITH_EVENT = timedelta(milliseconds=32**3)


class WebhookDelivery(OwnedDue, Traced, table=True):
    """One event for one endpoint. Its id is the `webhook-id` header of every attempt.

    `attempts` counts since the delivery was created or last restarted (redelivered or recovered). `is_full`: the
    payload has the whole object, not only its id.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("event_id", "endpoint_id"),
        Index(None, "endpoint_id", "id"),
        Index("ix_webhook_deliveries_not_succeeded", "endpoint_id", "status", "id", postgresql_where=_NOT_SUCCEEDED),
        Index("ix_webhook_deliveries_made_later", "endpoint_id", "id", postgresql_where=text(MADE_LATER)),
        Index("ix_webhook_deliveries_failed", "id", postgresql_where=text("status = 'failed'")),
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
    """One HTTP request of a delivery, with its answer, or with `error` if there was none.

    `address` is the IP address and port connected to. The request body is not stored: it is made from the event. Of the
    response body the first 2 KiB are stored.
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
    """A request to deliver the events that an endpoint has missed between two times.

    Each step of the worker handles a batch of events and stores in `last_event_id` how far it has come.
    """

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
