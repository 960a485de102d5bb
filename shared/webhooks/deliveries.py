"""Reads the log of deliveries, and sends again: redelivers one, recovers missed events, sends a test."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Boolean, ColumnElement, literal_column
from sqlmodel import Session, col, select

from shared.db.claims import make_due
from shared.db.ids import COMMIT_WINDOW
from shared.db.owned import check_cursor, get_owned, list_owned
from shared.db.times import epoch, from_epoch, utc_now
from shared.errors import Invalid, NotFound
from shared.webhooks import quota
from shared.webhooks import service as webhooks
from shared.webhooks.delivery_schemas import RecoveryCreate, WebhookDeliveryPublic, WebhookDeliveryWithBody
from shared.webhooks.event_filter import EventFilter, delivery_ids, ids_between
from shared.webhooks.event_types import EventType
from shared.webhooks.models import (
    MADE_LATER,
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookRecovery,
)


def body_of(event: WebhookEvent, is_full: bool) -> bytes:
    """Return the request body. It is the same, byte for byte, in each attempt."""
    payload = {
        "id": event.id,
        "object": "event",
        "created_at": epoch(event.created_at),
        "type": event.type,
        "data": event.data if is_full else {"id": event.object_id},
    }
    return json.dumps(payload, separators=(",", ":")).encode()


def list_events(
    session: Session, project_id: str, wanted: EventFilter, *, after: str | None, limit: int
) -> list[WebhookEvent]:
    return list_owned(session, WebhookEvent, project_id, *wanted.conditions(), after=after, limit=limit)


def list_deliveries(
    session: Session,
    project_id: str,
    endpoint_id: str,
    wanted: EventFilter,
    status: DeliveryStatus | None,
    *,
    after: str | None,
    limit: int,
) -> list[WebhookDeliveryPublic]:
    """Return up to `limit` + 1 deliveries of an endpoint with their attempts, newest first. Raises `NotFound`."""
    endpoint = check_endpoint(session, project_id, endpoint_id)
    if after is not None:
        check_cursor(session, WebhookDelivery, after, project_id)
    find = partial(_find, session, project_id, endpoint_id, wanted, status, after, limit + 1)
    made_with_event, made_later = delivery_ids(wanted.since, wanted.until)
    rows = find(made_with_event)
    if made_later:
        late = find([*made_later, literal_column(MADE_LATER, Boolean)])
        rows = sorted(late + rows, key=lambda row: row[0].id, reverse=True)[: limit + 1]
    attempts = _attempts(session, [delivery.id for delivery, _ in rows])
    return [
        WebhookDeliveryPublic.of(delivery, event, endpoint, attempts.get(delivery.id, [])) for delivery, event in rows
    ]


def list_about(
    session: Session, project_id: str, object_ids: Sequence[str], limit: int
) -> list[tuple[WebhookDeliveryPublic, WebhookEndpoint]]:
    """Return the newest deliveries of events about these objects, to any endpoint, with their attempts."""
    query = select(WebhookDelivery, WebhookEvent, WebhookEndpoint)
    query = query.join(WebhookEvent, col(WebhookEvent.id) == WebhookDelivery.event_id)
    query = query.join(WebhookEndpoint, col(WebhookEndpoint.id) == WebhookDelivery.endpoint_id)
    query = query.where(WebhookEvent.project_id == project_id, col(WebhookEvent.object_id).in_(object_ids))
    rows = session.exec(query.order_by(col(WebhookDelivery.id).desc()).limit(limit)).all()
    attempts = _attempts(session, [delivery.id for delivery, _, _ in rows])
    return [
        (WebhookDeliveryPublic.of(delivery, event, endpoint, attempts.get(delivery.id, [])), endpoint)
        for delivery, event, endpoint in rows
    ]


def _find(
    session: Session,
    project_id: str,
    endpoint_id: str,
    wanted: EventFilter,
    status: DeliveryStatus | None,
    after: str | None,
    limit: int,
    ids: list[ColumnElement[bool]],
) -> list[tuple[WebhookDelivery, WebhookEvent]]:
    query = select(WebhookDelivery, WebhookEvent).join(WebhookEvent, col(WebhookEvent.id) == WebhookDelivery.event_id)
    query = query.where(WebhookDelivery.project_id == project_id, WebhookDelivery.endpoint_id == endpoint_id)
    # The event's id says its time too: a delivery of another time is passed over without reading its event.
    by_event_id = ids_between(col(WebhookDelivery.event_id), wanted.since, wanted.until)
    query = query.where(*wanted.conditions(), *by_event_id, *ids)
    if status is not None:
        query = query.where(col(WebhookDelivery.status) == status)
    if after is not None:
        query = query.where(WebhookDelivery.id < after)
    return list(session.exec(query.order_by(col(WebhookDelivery.id).desc()).limit(limit)))


def _attempts(session: Session, delivery_ids: Sequence[str]) -> dict[str, list[WebhookAttempt]]:
    query = select(WebhookAttempt).where(col(WebhookAttempt.delivery_id).in_(delivery_ids))
    attempts: dict[str, list[WebhookAttempt]] = {}
    for attempt in session.exec(query.order_by(WebhookAttempt.id)):
        attempts.setdefault(attempt.delivery_id, []).append(attempt)
    return attempts


def check_endpoint(session: Session, project_id: str, endpoint_id: str) -> WebhookEndpoint:
    """Return an endpoint, also a deleted one: its log can still be read. Raises `NotFound` for another project's."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.project_id == project_id)
    endpoint = session.exec(query).one_or_none()
    if endpoint is None:
        raise NotFound(f"No such {WebhookEndpoint.called}: {endpoint_id}", param="webhook_endpoint_id")
    return endpoint


def get_delivery(
    session: Session, project_id: str, endpoint_id: str, delivery_id: str, *, lock: bool = False
) -> WebhookDelivery:
    check_endpoint(session, project_id, endpoint_id)
    is_its = WebhookDelivery.endpoint_id == endpoint_id
    return get_owned(session, WebhookDelivery, delivery_id, project_id, is_its, param="delivery_id", lock=lock)


def show_delivery(session: Session, delivery: WebhookDelivery) -> WebhookDeliveryWithBody:
    """Return a delivery with its attempts and the request body."""
    event = session.get_one(WebhookEvent, delivery.event_id)
    attempts = _attempts(session, [delivery.id]).get(delivery.id, [])
    body = body_of(event, delivery.is_full).decode()
    endpoint = session.get_one(WebhookEndpoint, delivery.endpoint_id)
    return WebhookDeliveryWithBody.of(delivery, event, endpoint, attempts, request_body=body)


def redeliver(session: Session, project_id: str, endpoint_id: str, delivery_id: str) -> WebhookDelivery:
    """Send a delivery again now, under the same `webhook-id`; if that fails, the retry schedule starts again."""
    delivery = get_delivery(session, project_id, endpoint_id, delivery_id, lock=True)
    _end_pause(session, project_id, endpoint_id)  # locks the endpoint after the delivery, as `outcomes` does
    restart(delivery)
    make_due(session, delivery)
    return delivery


def restart(delivery: WebhookDelivery) -> None:
    delivery.status, delivery.failure_reason, delivery.finished_at = DeliveryStatus.PENDING, None, None
    delivery.attempts = 0


def _end_pause(session: Session, project_id: str, endpoint_id: str) -> WebhookEndpoint:
    """Lock the endpoint and let it be tried at once. Raises `Invalid` if it is disabled."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True)
    if endpoint.disabled_at is not None:
        raise Invalid(
            "The endpoint is disabled: enable it first (`enabled: true`), then try again",
            code="webhook_endpoint_disabled",
            param="webhook_endpoint_id",
        )
    endpoint.paused_until = None
    return endpoint


def recover(session: Session, project_id: str, endpoint_id: str, new: RecoveryCreate) -> WebhookRecovery:
    """Start a recovery: the worker delivers the events that the endpoint wants and has not answered with 2xx.

    It starts `COMMIT_WINDOW` after `until`, when every transaction that wrote an event before `until` has committed.
    Raises `Invalid` for an empty period, and if the endpoint is disabled.
    """
    now = utc_now()
    until = min(now, from_epoch(new.until)) if new.until is not None else now
    since = from_epoch(new.since)
    if since >= until:
        raise Invalid("`since` must be before `until`, and in the past", param="since")
    _end_pause(session, project_id, endpoint_id)
    begins_at = max(now, until + COMMIT_WINDOW)
    recovery = WebhookRecovery(
        project_id=project_id, endpoint_id=endpoint_id, since=since, until=until, due_at=begins_at, enqueued_at=None
    )
    session.add(recovery)
    return recovery


def get_recovery(session: Session, project_id: str, endpoint_id: str, recovery_id: str) -> WebhookRecovery:
    get_owned(session, WebhookEndpoint, endpoint_id, project_id)
    is_its = WebhookRecovery.endpoint_id == endpoint_id
    return get_owned(session, WebhookRecovery, recovery_id, project_id, is_its, param="recovery_id")


def send_test(
    session: Session, project_id: str, endpoint_id: str, type: EventType, data: dict[str, Any]
) -> WebhookDelivery:
    """Send a sample event to this endpoint alone, once, whatever its event types are and even if it is disabled."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id)
    event = make_sample(session, project_id, type, data)
    delivery = webhooks.new_delivery(event, endpoint.id, endpoint.full_payloads)
    make_due(session, delivery)
    return delivery


def make_sample(session: Session, project_id: str, type: EventType, data: dict[str, Any]) -> WebhookEvent:
    """Write an event that did not happen. It gets no deliveries; only the list and the stream of events show it.

    Raises `QuotaExceeded`.
    """
    quota.check_events(session, project_id)
    event = WebhookEvent(project_id=project_id, type=type, object_id=data["id"], data=data, is_test=True)
    session.add(event)
    session.flush()
    return event
