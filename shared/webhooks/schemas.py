"""Webhook endpoints as OpenAI's wire has them, and deliveries beside them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.pages import Listed
from shared.tables import epoch
from shared.webhooks.models import DeliveryStatus, WebhookAttempt, WebhookDelivery, WebhookEndpoint

EventType = Literal["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]


class WebhookEndpointCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=256)]
    url: Annotated[str, Field(min_length=1, max_length=2048)]
    event_types: Annotated[list[EventType], Field(min_length=1, max_length=100)]


class WebhookEndpointPublic(Listed):
    """An endpoint; its signing secret is never shown again, only `signing_secret_hint`."""

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created_at: int
    updated_at: int | None = None
    name: str
    url: str
    event_types: list[str]
    signing_secret_hint: str | None

    @classmethod
    def of(cls, row: WebhookEndpoint) -> "WebhookEndpointPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            name=row.name,
            url=row.url,
            event_types=row.event_types,
            signing_secret_hint=row.signing_secret_hint,
        )


class WebhookEndpointWithSecret(WebhookEndpointPublic):
    """What create answers, once: `signing_secret` is `whsec_` and padded standard base64 of 32 bytes."""

    signing_secret: str


class WebhookEndpointDeleted(BaseModel):
    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: Literal[True] = True


class WebhookAttemptPublic(BaseModel):
    """One request: `response_status` is null when no answer came, and `error` says why it counts as failed."""

    id: str
    created_at: int
    finished_at: int
    duration_ms: int
    response_status: int | None
    response_body: str | None
    error: str | None

    @classmethod
    def of(cls, row: WebhookAttempt) -> "WebhookAttemptPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            finished_at=epoch(row.finished_at),
            duration_ms=row.duration_ms,
            response_status=row.response_status,
            response_body=row.response_body,
            error=row.error,
        )


class WebhookDeliveryPublic(Listed):
    """One event on its way to one endpoint. `next_attempt_at` is null once it succeeded or was given up."""

    object: Literal["webhook_delivery"] = "webhook_delivery"
    created_at: int
    event_id: str
    event_type: str
    webhook_endpoint_id: str
    status: DeliveryStatus
    next_attempt_at: int | None
    attempts: list[WebhookAttemptPublic]

    @classmethod
    def of(cls, row: WebhookDelivery, event_type: str, attempts: list[WebhookAttempt]) -> "WebhookDeliveryPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            event_id=row.event_id,
            event_type=event_type,
            webhook_endpoint_id=row.endpoint_id,
            status=row.status,
            next_attempt_at=epoch(row.due_at) if row.due_at else None,
            attempts=[WebhookAttemptPublic.of(attempt) for attempt in attempts],
        )
