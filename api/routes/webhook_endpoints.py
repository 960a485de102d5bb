"""`/v1/webhook_endpoints`: a project's webhook endpoints, their deliveries, and ways to deliver again."""

from typing import Annotated

from fastapi import Depends, Query

from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.router import Router
from api.idempotency import IdempotentRoute
from api.webhooks import test_event
from shared.db.owned import get_owned, list_owned
from shared.db.pages import Page
from shared.webhooks import deliveries
from shared.webhooks import service as webhooks
from shared.webhooks.delivery_schemas import (
    RecoveryCreate,
    Time,
    WebhookDeliveryPublic,
    WebhookDeliveryWithBody,
    WebhookRecoveryPublic,
)
from shared.webhooks.event_filter import EventFilter
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
from shared.webhooks.success import Success, success_of

router = Router(
    prefix="/v1/webhook_endpoints", tags=["Webhooks"], route_class=IdempotentRoute, dependencies=[scope("webhooks")]
)
Limit = Annotated[int, Query(ge=1, le=100)]


def wanted_events(
    type: Annotated[EventType | None, Query()] = None,
    object: Annotated[str | None, Query(max_length=256, description="The id of the resource")] = None,
    since: Annotated[Time | None, Query(description="Unix seconds, included")] = None,
    until: Annotated[Time | None, Query(description="Unix seconds, included")] = None,
) -> EventFilter:
    return EventFilter(type=type, object_id=object, since=since, until=until)


FilterDep = Annotated[EventFilter, Depends(wanted_events)]


@router.post("", response_model=WebhookEndpointWithSecret)
def create_webhook_endpoint(
    session: SessionDep, caller: CallerDep, new: WebhookEndpointCreate
) -> WebhookEndpointWithSecret:
    """Register an https URL that receives events.

    Only this response has the `signing_secret`; verify deliveries with the SDK's `client.webhooks.unwrap`. Errors: 400
    for a URL that may not be called, or if the project has too many endpoints.
    """
    return WebhookEndpointWithSecret.with_secret(*webhooks.create_endpoint(session, caller.project_id, new))


@router.get("", response_model=Page[WebhookEndpointPublic])
def list_webhook_endpoints(
    session: SessionDep, caller: CallerDep, after: After = None, limit: Limit = 20
) -> Page[WebhookEndpointPublic]:
    """List the project's webhook endpoints, newest first."""
    rows = list_owned(session, WebhookEndpoint, caller.project_id, after=after, limit=limit)
    return Page.of([WebhookEndpointPublic.of(row) for row in rows], limit)


@router.get("/{webhook_endpoint_id}", response_model=WebhookEndpointPublic)
def retrieve_webhook_endpoint(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str
) -> WebhookEndpointPublic:
    """Return a webhook endpoint, without its secret."""
    return WebhookEndpointPublic.of(get_owned(session, WebhookEndpoint, webhook_endpoint_id, caller.project_id))


@router.post("/{webhook_endpoint_id}", response_model=WebhookEndpointPublic)
def update_webhook_endpoint(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, new: WebhookEndpointUpdate
) -> WebhookEndpointPublic:
    """Change an endpoint's name, URL or event types, or disable and enable it with `enabled`.

    An endpoint that is enabled again has missed the events since `missed_since`: recover them from that time on.
    """
    return WebhookEndpointPublic.of(webhooks.update_endpoint(session, caller.project_id, webhook_endpoint_id, new))


@router.delete("/{webhook_endpoint_id}", response_model=WebhookEndpointDeleted)
def delete_webhook_endpoint(session: SessionDep, caller: CallerDep, webhook_endpoint_id: str) -> WebhookEndpointDeleted:
    """Delete an endpoint. Nothing more is sent to it, also no retries of earlier deliveries."""
    webhooks.delete_endpoint(session, caller.project_id, webhook_endpoint_id)
    return WebhookEndpointDeleted(id=webhook_endpoint_id)


@router.post("/{webhook_endpoint_id}/rotate_secret", response_model=WebhookEndpointWithSecret)
def rotate_webhook_secret(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, asked: SecretRotate | None = None
) -> WebhookEndpointWithSecret:
    """Give an endpoint a new signing secret, which only this response has.

    With `keep_old_secret_active_for_24_hours`, deliveries are signed with both secrets for a day.
    """
    keep_old = asked is not None and asked.keep_old_secret_active_for_24_hours
    rotated = webhooks.rotate_secret(session, caller.project_id, webhook_endpoint_id, keep_old)
    return WebhookEndpointWithSecret.with_secret(*rotated)


@router.post("/{webhook_endpoint_id}/test", response_model=WebhookEndpointTest)
async def test_webhook_endpoint(
    caller: CallerDep, webhook_endpoint_id: str, asked: EventTypeNamed
) -> WebhookEndpointTest:
    """Send a sample event of any type once, and return the receiver's status code. Its delivery is listed too.

    Errors: 400 `webhook_test_failed` if the receiver does not answer, 503 `worker_unavailable` if no worker is free.
    """
    return await test_event.send_and_wait(caller.project_id, webhook_endpoint_id, asked.event_type)


@router.get("/{webhook_endpoint_id}/success", response_model=Success)
def retrieve_webhook_success(session: SessionDep, caller: CallerDep, webhook_endpoint_id: str) -> Success:
    """Return how many of an endpoint's newest 100 deliveries have succeeded, and how many have failed for good."""
    endpoint = get_owned(session, WebhookEndpoint, webhook_endpoint_id, caller.project_id)
    return success_of(session, caller.project_id, [endpoint.id])[endpoint.id]


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
    """List an endpoint's deliveries with their attempts, newest first. `since` and `until` compare the event's time."""
    rows = deliveries.list_deliveries(
        session, caller.project_id, webhook_endpoint_id, wanted, status, after=after, limit=limit
    )
    return Page.of(rows, limit)


@router.get("/{webhook_endpoint_id}/deliveries/{delivery_id}", response_model=WebhookDeliveryWithBody)
def retrieve_webhook_delivery(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, delivery_id: str
) -> WebhookDeliveryWithBody:
    """Return a delivery with its body and, for each attempt, the request, the address called and the response."""
    delivery = deliveries.get_delivery(session, caller.project_id, webhook_endpoint_id, delivery_id)
    return deliveries.show_delivery(session, delivery)


@router.post("/{webhook_endpoint_id}/deliveries/{delivery_id}/redeliver", response_model=WebhookDeliveryWithBody)
def redeliver_webhook(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, delivery_id: str
) -> WebhookDeliveryWithBody:
    """Deliver an event again with the same `webhook-id`, also if it succeeded; failures are retried on the schedule."""
    delivery = deliveries.redeliver(session, caller.project_id, webhook_endpoint_id, delivery_id)
    return deliveries.show_delivery(session, delivery)


@router.post("/{webhook_endpoint_id}/recover", response_model=WebhookRecoveryPublic)
def recover_webhooks(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, asked: RecoveryCreate
) -> WebhookRecoveryPublic:
    """Deliver, in the background, all events between two times that the endpoint has not answered with 2xx."""
    return WebhookRecoveryPublic.of(deliveries.recover(session, caller.project_id, webhook_endpoint_id, asked))


@router.get("/{webhook_endpoint_id}/recoveries/{recovery_id}", response_model=WebhookRecoveryPublic)
def retrieve_webhook_recovery(
    session: SessionDep, caller: CallerDep, webhook_endpoint_id: str, recovery_id: str
) -> WebhookRecoveryPublic:
    """Return a recovery and its progress."""
    found = deliveries.get_recovery(session, caller.project_id, webhook_endpoint_id, recovery_id)
    return WebhookRecoveryPublic.of(found)
