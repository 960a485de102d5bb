"""Webhook endpoints as OpenAI's wire has them, and the events that they are told of."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.db.pages import Listed
from shared.db.times import epoch
from shared.webhooks.event_types import EventType
from shared.webhooks.models import DisabledReason, WebhookEndpoint, WebhookEvent

Name = Annotated[str, Field(min_length=1, max_length=256)]
Url = Annotated[str, Field(min_length=1, max_length=2048)]
EventTypes = Annotated[list[EventType], Field(min_length=1, max_length=100)]


class WebhookEndpointCreate(BaseModel):
    """`full_payloads` puts the whole object into `data` also where OpenAI's events carry only its id."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    url: Url
    event_types: EventTypes
    full_payloads: bool = False


class WebhookEndpointUpdate(BaseModel):
    """What is named is changed. `enabled` turns sending off, and on again after a disabling."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None
    full_payloads: bool | None = None
    enabled: bool | None = None


class SecretRotate(BaseModel):
    """The old secret signs too for 24 hours, if asked for; otherwise it is worth nothing at once."""

    model_config = ConfigDict(extra="forbid")

    keep_old_secret_active_for_24_hours: bool = False


class EventTypeNamed(BaseModel):
    """The type of event of which a sample is sent."""

    model_config = ConfigDict(extra="forbid")

    event_type: EventType


class WebhookEndpointPublic(Listed):
    """OpenAI's endpoint object, and beside it how sending to it goes.

    `updated_at` is of the last change of its settings or its secret, at first of its creation. `failing_since` is null
    while attempts succeed. A disabled endpoint gets nothing; what it may have missed happened since `missed_since`,
    which stays after it is enabled again, until all since then is recovered. Its signing secret is never shown again.
    """

    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created_at: int
    updated_at: int | None
    name: str
    url: str
    event_types: list[str]
    signing_secret_hint: str | None
    full_payloads: bool
    enabled: bool
    disabled_at: int | None
    disabled_reason: DisabledReason | None
    failing_since: int | None
    missed_since: int | None

    @classmethod
    def of(cls, row: WebhookEndpoint) -> "WebhookEndpointPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            updated_at=epoch(row.updated_at),
            name=row.name,
            url=row.url,
            event_types=row.event_types,
            signing_secret_hint=row.signing_secret_hint,
            full_payloads=row.full_payloads,
            enabled=row.disabled_at is None,
            disabled_at=epoch(row.disabled_at) if row.disabled_at else None,
            disabled_reason=row.disabled_reason,
            failing_since=epoch(row.failing_since) if row.failing_since else None,
            missed_since=epoch(row.missed_since) if row.missed_since else None,
        )


class WebhookEndpointWithSecret(WebhookEndpointPublic):
    """What create and rotate answer, once: `signing_secret` is `whsec_` and padded standard base64 of 32 bytes."""

    signing_secret: Annotated[str, Field(repr=False)]

    @classmethod
    def with_secret(cls, row: WebhookEndpoint, secret: str) -> "WebhookEndpointWithSecret":
        return cls(**WebhookEndpointPublic.of(row).model_dump(), signing_secret=secret)


class WebhookEndpointDeleted(BaseModel):
    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: Literal[True] = True


class WebhookEndpointTest(BaseModel):
    """An answer came: `status_code` says which. `success` is true for whatever status, as on OpenAI's wire."""

    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    webhook_endpoint_id: str
    event_type: str
    status_code: int
    success: Literal[True] = True
    delivery_id: str


class WebhookEventTypeList(BaseModel):
    object: Literal["list"] = "list"
    data: list[EventType]


class WebhookEventPublic(Listed):
    """What happened. `data` is the whole object as the API gave it then, also where a thin payload is delivered."""

    object: Literal["event"] = "event"
    created_at: int
    type: EventType
    data: dict[str, Any]
    is_test: bool

    @classmethod
    def of(cls, row: WebhookEvent) -> "WebhookEventPublic":
        return cls(
            id=row.id, created_at=epoch(row.created_at), type=EventType(row.type), data=row.data, is_test=row.is_test
        )
