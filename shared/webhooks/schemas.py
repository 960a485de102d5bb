"""The bodies of `/v1/webhook_endpoints` and `/v1/webhook_events`; endpoints are OpenAI's object and more."""

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
    """A new endpoint. With `full_payloads`, OpenAI's own events have the whole object in `data`, not only its id."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    url: Url
    event_types: EventTypes
    full_payloads: bool = False


class WebhookEndpointUpdate(BaseModel):
    """The fields to change; omitted ones stay. `enabled`: false stops sending, true resumes it, also after failures."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    url: Url | None = None
    event_types: EventTypes | None = None
    full_payloads: bool | None = None
    enabled: bool | None = None


class SecretRotate(BaseModel):
    """With the flag, deliveries are signed with the old secret too for 24 hours; without it, only with the new one."""

    model_config = ConfigDict(extra="forbid")

    keep_old_secret_active_for_24_hours: bool = False


class EventTypeNamed(BaseModel):
    """The type of the sample event to send."""

    model_config = ConfigDict(extra="forbid")

    event_type: EventType


class WebhookEndpointPublic(Listed):
    """OpenAI's endpoint object, and its state. The signing secret is not shown again.

    `updated_at`: when its settings or secret last changed. `failing_since`: the first failed attempt after the last
    success; null while attempts succeed. `paused_until`: after failures in a row nothing is sent before this time, else
    null. Nothing is sent to a disabled endpoint. Events since `missed_since` may not
    have arrived; it stays set after the endpoint is enabled, until a recovery covers all of that time.
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
    paused_until: int | None
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
            paused_until=epoch(row.pause_end) if row.pause_end else None,
            missed_since=epoch(row.missed_since) if row.missed_since else None,
        )


class WebhookEndpointWithSecret(WebhookEndpointPublic):
    """The answer of create and rotate. `signing_secret`, shown only here: `whsec_` and 32 bytes in padded base64."""

    signing_secret: Annotated[str, Field(repr=False)]

    @classmethod
    def with_secret(cls, row: WebhookEndpoint, secret: str) -> "WebhookEndpointWithSecret":
        return cls(**WebhookEndpointPublic.of(row).model_dump(), signing_secret=secret)


class WebhookEndpointDeleted(BaseModel):
    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: Literal[True] = True


class WebhookEndpointTest(BaseModel):
    """The receiver's answer to a sample event. As at OpenAI, `success` is true for any `status_code`."""

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
    """An event. `data` is the whole object as it was then, even where a delivery has only its id."""

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
