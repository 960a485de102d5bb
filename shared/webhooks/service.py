"""Endpoints, events and deliveries: what a project is told, and what became of it."""

import base64
import secrets
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, select

from shared.secrets import seal
from shared.settings import get_settings
from shared.tables import check_cursor, get_owned, make_due, release, utc_now
from shared.webhooks.addresses import check_url
from shared.webhooks.models import DeliveryStatus, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from shared.webhooks.schemas import EventType, WebhookDeliveryPublic, WebhookEndpointCreate


def create_endpoint(session: Session, project_id: str, new: WebhookEndpointCreate) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its signing secret, which is not shown again."""
    check_url(new.url)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    endpoint = WebhookEndpoint(
        project_id=project_id,
        name=new.name,
        url=new.url,
        event_types=sorted(set(new.event_types)),
        sealed_secret=seal(secret),
        signing_secret_hint=f"whsec_…{secret[-5:]}",
    )
    session.add(endpoint)
    return endpoint, secret


def delete_endpoint(session: Session, project_id: str, endpoint_id: str) -> None:
    """Nothing more is sent to it: what is still pending is given up by its next step."""
    get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True).deleted_at = utc_now()


def emit(session: Session, project_id: str, type: EventType, data: dict[str, Any]) -> None:
    """Write an event, and a delivery for each endpoint that wants it, in the caller's transaction."""
    wanted = select(WebhookEndpoint.id).where(
        WebhookEndpoint.project_id == project_id,
        col(WebhookEndpoint.deleted_at).is_(None),
        col(WebhookEndpoint.event_types).contains([type]),
    )
    event = WebhookEvent(project_id=project_id, type=type, data=data)
    session.add(event)
    session.flush()
    for endpoint_id in session.exec(wanted):
        make_due(session, WebhookDelivery(project_id=project_id, event_id=event.id, endpoint_id=endpoint_id))


def list_deliveries(
    session: Session, project_id: str, endpoint_id: str, *, after: str | None, limit: int
) -> list[WebhookDeliveryPublic]:
    """One more than `limit` deliveries of an endpoint with their attempts, newest first."""
    get_owned(session, WebhookEndpoint, endpoint_id, project_id)
    query = (
        select(WebhookDelivery, WebhookEvent.type)
        .join(WebhookEvent, col(WebhookEvent.id) == WebhookDelivery.event_id)
        .where(WebhookDelivery.project_id == project_id, WebhookDelivery.endpoint_id == endpoint_id)
        .order_by(col(WebhookDelivery.id).desc())
    )
    if after is not None:
        check_cursor(session, WebhookDelivery, after, project_id)
        query = query.where(WebhookDelivery.id < after)
    rows = session.exec(query.limit(limit + 1)).all()
    attempts = _attempts(session, [delivery.id for delivery, _ in rows])
    return [WebhookDeliveryPublic.of(delivery, type, attempts.get(delivery.id, [])) for delivery, type in rows]


def _attempts(session: Session, delivery_ids: Sequence[str]) -> dict[str, list[WebhookAttempt]]:
    query = select(WebhookAttempt).where(col(WebhookAttempt.delivery_id).in_(delivery_ids))
    attempts: dict[str, list[WebhookAttempt]] = {}
    for attempt in session.exec(query.order_by(WebhookAttempt.id)):
        attempts.setdefault(attempt.delivery_id, []).append(attempt)
    return attempts


def record_attempt(session: Session, delivery: WebhookDelivery, attempt: WebhookAttempt) -> None:
    """Write down one request, and when the next one is due, if any."""
    session.add(attempt)
    delivery.attempts += 1
    schedule = get_settings().webhook_schedule
    if attempt.error is None:
        delivery.status = DeliveryStatus.SUCCEEDED
        release(delivery, None)
    elif delivery.attempts > len(schedule):
        give_up(delivery)
    else:
        jitter = 0.8 + 0.4 * secrets.randbelow(1001) / 1000
        release(delivery, utc_now() + schedule[delivery.attempts - 1] * jitter)


def give_up(delivery: WebhookDelivery) -> None:
    delivery.status = DeliveryStatus.FAILED
    release(delivery, None)
