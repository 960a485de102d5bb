"""`/v1/webhook_endpoints`: where a project is told what happens, how telling went, and mending it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.idempotency import IdempotentRoute
from api.webhooks import test_event
from shared.db.owned import get_owned, list_owned
from shared.db.pages import Page
from shared.webhooks import deliveries
from shared.webhooks import service as webhooks
from shared.webhooks.deliveries import Filter
from shared.webhooks.delivery_schemas import (
    RecoveryCreate,
    Time,
    WebhookDeliveryPublic,
    WebhookDeliveryWithBody,
    WebhookRecoveryPublic,
)
from shared.webhooks.event_types import EventType
from shared.webhooks.models import DeliveryStatus, WebhookEndpoint
from shared.webhooks.schemas import (
    EventTypeNamed,
    SecretRotate,
    WebhookEndpointCreate,
    WebhookEndpointDeleted,
    WebhookEndpointPublic,
    WebhookEndpointTest,
    WebhookEndpointUpdate,
    WebhookEndpointWithSecret,
)

router = APIRouter(
    prefix="/v1/webhook_endpoints", tags=["Webhooks"], route_class=IdempotentRoute, dependencies=[scope("webhooks")]
)
Limit = Annotated[int, Query(ge=1, le=100)]


def wanted_events(
    type: Annotated[EventType | None, Query()] = None,
    object: Annotated[str | None, Query(max_length=256, description="The id of what it happened to")] = None,
    since: Annotated[Time | None, Query(description="Unix seconds, included")] = None,
    until: Annotated[Time | None, Query(description="Unix seconds, included")] = None,
) -> Filter:
    return Filter(type=type, object_id=object, since=since, until=until)


FilterDep = Annotated[Filter, Depends(wanted_events)]


@router.post("", response_model=WebhookEndpointWithSecret)
def create_webhook_endpoint(
    session: SessionDep, caller: CallerDep, new: WebhookEndpointCreate
) -> WebhookEndpointWithSecret:
    """Register an https address. Only this answer holds the `signing_secret`; verify with `client.webhooks.unwrap`."""
    return WebhookEndpointWithSecret.with_secret(*webhooks.create_endpoint(session, caller.project_id, new))


@router.get("", response_model=Page[WebhookEndpointPublic])
def list_webhook_endpoints(
    session: SessionDep, caller: CallerDep, after: After = None, limit: Limit = 20
) -> Page[WebhookEndpointPublic]:
    """The project's endpoints, newest first."""
    rows = list_owned(session, WebhookEndpoint, caller.project_id, after=after, limit=limit)
    return Page.of([WebhookEndpointPublic.of(row) for row in rows], limit)


@router.get("/{webhook_endpoint_id}", response_model=WebhookEndpointPublic)
def retrieve_webhook_endpoint(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str
) -> WebhookEndpointPublic:
    """One endpoint, without its secret."""
    return WebhookEndpointPublic.of(get_owned(session, WebhookEndpoint, webhook_endpoint_id, caller.project_id))


@router.post("/{webhook_endpoint_id}", response_model=WebhookEndpointPublic)
def update_webhook_endpoint(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, new: WebhookEndpointUpdate
) -> WebhookEndpointPublic:
    """Change its name, url or event types; switch it off, or on again with `enabled`.

    One that was disabled has missed events since `missed_since`: recover from then on.
    """
    return WebhookEndpointPublic.of(webhooks.update_endpoint(session, caller.project_id, webhook_endpoint_id, new))


@router.delete("/{webhook_endpoint_id}", response_model=WebhookEndpointDeleted)
def delete_webhook_endpoint(session: SessionDep, caller: CallerDep, webhook_endpoint_id: str) -> WebhookEndpointDeleted:
    """Nothing more is sent to it, also of what is still to be repeated."""
    webhooks.delete_endpoint(session, caller.project_id, webhook_endpoint_id)
    return WebhookEndpointDeleted(id=webhook_endpoint_id)


@router.post("/{webhook_endpoint_id}/rotate_secret", response_model=WebhookEndpointWithSecret)
def rotate_webhook_secret(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, asked: SecretRotate | None = None
) -> WebhookEndpointWithSecret:
    """A new secret, shown only in this answer."""
    keep_old = asked is not None and asked.keep_old_secret_active_for_24_hours
    rotated = webhooks.rotate_secret(session, caller.project_id, webhook_endpoint_id, keep_old)
    return WebhookEndpointWithSecret.with_secret(*rotated)


@router.post("/{webhook_endpoint_id}/test", response_model=WebhookEndpointTest)
async def test_webhook_endpoint(
    caller: CallerDep, webhook_endpoint_id: str, asked: EventTypeNamed
) -> WebhookEndpointTest:
    """Send a sample event of any type, once, and wait for the answer. It is in the log, with its delivery."""
    return await test_event.send_and_wait(caller.project_id, webhook_endpoint_id, asked.event_type)


@router.get("/{webhook_endpoint_id}/deliveries", response_model=Page[WebhookDeliveryPublic])
def list_webhook_deliveries(
    session: SessionDep,
    caller: CallerDep,
    webhook_endpoint_id: str,
    wanted: FilterDep,
    status: Annotated[DeliveryStatus | None, Query()] = None,
    after: After = None,
    limit: Limit = 20,
) -> Page[WebhookDeliveryPublic]:
    """What was sent to an endpoint, newest first, with each attempt. `since` and `until` are of the events."""
    rows = deliveries.list_deliveries(
        session, caller.project_id, webhook_endpoint_id, wanted, status, after=after, limit=limit
    )
    return Page.of(rows, limit)


@router.get("/{webhook_endpoint_id}/deliveries/{delivery_id}", response_model=WebhookDeliveryWithBody)
def retrieve_webhook_delivery(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, delivery_id: str
) -> WebhookDeliveryWithBody:
    """Everything about one delivery: the body, and for each attempt what was sent, where to, and what came back."""
    delivery = deliveries.get_delivery(session, caller.project_id, webhook_endpoint_id, delivery_id)
    return deliveries.show_delivery(session, delivery)


@router.post("/{webhook_endpoint_id}/deliveries/{delivery_id}/redeliver", response_model=WebhookDeliveryWithBody)
def redeliver_webhook(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, delivery_id: str
) -> WebhookDeliveryWithBody:
    """Send it again, also if it succeeded, under the same `webhook-id`; if that fails, on the whole schedule."""
    delivery = deliveries.redeliver(session, caller.project_id, webhook_endpoint_id, delivery_id)
    return deliveries.show_delivery(session, delivery)


@router.post("/{webhook_endpoint_id}/recover", response_model=WebhookRecoveryPublic)
def recover_webhooks(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, asked: RecoveryCreate
) -> WebhookRecoveryPublic:
    """Deliver all that it wants and has not answered with 2xx, of the events between two times, in the background."""
    return WebhookRecoveryPublic.of(deliveries.recover(session, caller.project_id, webhook_endpoint_id, asked))


@router.get("/{webhook_endpoint_id}/recoveries/{recovery_id}", response_model=WebhookRecoveryPublic)
def retrieve_webhook_recovery(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, recovery_id: str
) -> WebhookRecoveryPublic:
    """How far a recovery has come."""
    found = deliveries.get_recovery(session, caller.project_id, webhook_endpoint_id, recovery_id)
    return WebhookRecoveryPublic.of(found)
