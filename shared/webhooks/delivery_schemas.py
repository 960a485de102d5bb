"""The bodies of the delivery log: deliveries with their attempts, and recoveries of missed events."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from shared.db.pages import Listed
from shared.db.times import epoch
from shared.webhooks.event_types import EventType
from shared.webhooks.models import (
    DeliveryStatus,
    FailureReason,
    RecoveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookRecovery,
)

Time = Annotated[int, Field(ge=0, le=2**33)]  # Unix seconds, to the year 2242


class RecoveryCreate(BaseModel):
    """Deliver the events missed from `since` to `until`, both in Unix seconds. `until` defaults to now."""

    model_config = ConfigDict(extra="forbid")

    since: Time
    until: Time | None = None


class WebhookAttemptPublic(BaseModel):
    """One HTTP request. `response_status` is null if no answer came. `error` says why the attempt failed, else null.

    `address` is the IP address and port connected to; `response_body` has the first 2 KiB of the answer.
    """

    id: str
    object: Literal["webhook_attempt"] = "webhook_attempt"
    created_at: int
    finished_at: int
    duration_ms: int
    url: str
    address: str | None
    request_headers: dict[str, str]
    response_status: int | None
    response_headers: list[list[str]] | None
    response_body: str | None
    error: str | None

    @classmethod
    def of(cls, row: WebhookAttempt) -> "WebhookAttemptPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            finished_at=epoch(row.finished_at),
            duration_ms=row.duration_ms,
            url=row.url,
            address=row.address,
            request_headers=row.request_headers,
            response_status=row.response_status,
            response_headers=row.response_headers,
            response_body=row.response_body,
            error=row.error,
        )


class WebhookDeliveryPublic(Listed):
    """One event for one endpoint. `next_attempt_at` is null during an attempt and after the last one.

    `held_until`: it would be sent earlier, but its endpoint keeps failing and is paused until then; else null.
    """

    object: Literal["webhook_delivery"] = "webhook_delivery"
    created_at: int
    event_id: str
    event_type: EventType
    object_id: str
    webhook_endpoint_id: str
    status: DeliveryStatus
    failure_reason: FailureReason | None
    next_attempt_at: int | None
    held_until: int | None
    finished_at: int | None
    attempts: list[WebhookAttemptPublic]

    @classmethod
    def of(
        cls,
        row: WebhookDelivery,
        event: WebhookEvent,
        endpoint: WebhookEndpoint,
        attempts: list[WebhookAttempt],
        **more: Any,
    ) -> Self:
        """`more` are the fields that a subclass adds."""
        due = row.due_at if row.failures == 0 else None
        pause_end = None if event.is_test else endpoint.pause_end
        held_until = pause_end if due and pause_end and pause_end > due else None
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            event_id=row.event_id,
            event_type=EventType(event.type),
            object_id=event.object_id,
            webhook_endpoint_id=row.endpoint_id,
            status=row.status,
            failure_reason=row.failure_reason,
            next_attempt_at=epoch(held_until or due) if due else None,
            held_until=epoch(held_until) if held_until else None,
            finished_at=epoch(row.finished_at) if row.finished_at else None,
            attempts=[WebhookAttemptPublic.of(attempt) for attempt in attempts],
            **more,
        )


class WebhookDeliveryWithBody(WebhookDeliveryPublic):
    """A delivery with `request_body`: the exact body that every attempt sends."""

    request_body: str


class WebhookRecoveryPublic(Listed):
    """The progress of a recovery: the `events` examined so far, and the `deliveries` that are sent again."""

    object: Literal["webhook_recovery"] = "webhook_recovery"
    created_at: int
    webhook_endpoint_id: str
    since: int
    until: int
    status: RecoveryStatus
    events: int
    deliveries: int
    finished_at: int | None

    @classmethod
    def of(cls, row: WebhookRecovery) -> "WebhookRecoveryPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            webhook_endpoint_id=row.endpoint_id,
            since=epoch(row.since),
            until=epoch(row.until),
            status=row.status,
            events=row.events,
            deliveries=row.deliveries,
            finished_at=epoch(row.finished_at) if row.finished_at else None,
        )
