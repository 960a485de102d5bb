"""The log of deliveries, and the ways to send again: redelivery, recovery and tests."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from shared.db.claims import make_due
from shared.db.ids import COMMIT_WINDOW, first_id
from shared.db.owned import check_cursor, get_owned, list_owned
from shared.db.times import epoch, from_epoch, utc_now
from shared.errors import Invalid, NotFound
from shared.webhooks import service as webhooks
from shared.webhooks.delivery_schemas import RecoveryCreate, WebhookDeliveryPublic, WebhookDeliveryWithBody
from shared.webhooks.event_types import EventType
from shared.webhooks.models import (
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookRecovery,
)

CLOCK_SKEW_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which events: of a type, about an object, and made between two times (Unix seconds, both included)."""

    type: EventType | None = None
    object_id: str | None = None
    since: int | None = None
    until: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.type is not None:
            found.append(col(WebhookEvent.type) == self.type)
        if self.object_id is not None:
            found.append(col(WebhookEvent.object_id) == self.object_id)
        return found + made_between(self.since, self.until)


def made_between(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    """Of events made between two times, the whole second of `until` included.

    Ids begin with the time and have an index, so they narrow the search, with room for clocks that are set.
    """
    found: list[ColumnElement[bool]] = []
    if since is not None:
        earliest = from_epoch(max(since - CLOCK_SKEW_SECONDS, 0))
        found.append(col(WebhookEvent.id) >= first_id(WebhookEvent.id_prefix, earliest))
        found.append(col(WebhookEvent.created_at) >= from_epoch(since))
    if until is not None:
        latest = from_epoch(until + 1 + CLOCK_SKEW_SECONDS)
        found.append(col(WebhookEvent.id) < first_id(WebhookEvent.id_prefix, latest))
        found.append(col(WebhookEvent.created_at) < from_epoch(until + 1))
    return found


def body_of(event: WebhookEvent, is_full: bool) -> bytes:
    """What is sent, byte for byte the same at each attempt."""
    payload = {
        "id": event.id,
        "object": "event",
        "created_at": epoch(event.created_at),
        "type": event.type,
        "data": event.data if is_full else {"id": event.object_id},
    }
    return json.dumps(payload, separators=(",", ":")).encode()


def list_events(
    session: Session, project_id: str, wanted: Filter, *, after: str | None, limit: int
) -> list[WebhookEvent]:
    return list_owned(session, WebhookEvent, project_id, *wanted.conditions(), after=after, limit=limit)


def list_deliveries(
    session: Session,
    project_id: str,
    endpoint_id: str,
    wanted: Filter,
    status: DeliveryStatus | None,
    *,
    after: str | None,
    limit: int,
) -> list[WebhookDeliveryPublic]:
    """One more than `limit` deliveries of an endpoint with their attempts, newest first."""
    check_endpoint(session, project_id, endpoint_id)
    query = (
        select(WebhookDelivery, WebhookEvent)
        .join(WebhookEvent, col(WebhookEvent.id) == WebhookDelivery.event_id)
        .where(
            WebhookDelivery.project_id == project_id, WebhookDelivery.endpoint_id == endpoint_id, *wanted.conditions()
        )
        .order_by(col(WebhookDelivery.id).desc())
    )
    if status is not None:
        query = query.where(col(WebhookDelivery.status) == status)
    if after is not None:
        check_cursor(session, WebhookDelivery, after, project_id)
        query = query.where(WebhookDelivery.id < after)
    rows = session.exec(query.limit(limit + 1)).all()
    attempts = _attempts(session, [delivery.id for delivery, _ in rows])
    return [WebhookDeliveryPublic.of(delivery, event, attempts.get(delivery.id, [])) for delivery, event in rows]


def _attempts(session: Session, delivery_ids: Sequence[str]) -> dict[str, list[WebhookAttempt]]:
    query = select(WebhookAttempt).where(col(WebhookAttempt.delivery_id).in_(delivery_ids))
    attempts: dict[str, list[WebhookAttempt]] = {}
    for attempt in session.exec(query.order_by(WebhookAttempt.id)):
        attempts.setdefault(attempt.delivery_id, []).append(attempt)
    return attempts


def check_endpoint(session: Session, project_id: str, endpoint_id: str) -> None:
    """Refuse what is not the project's. The log of an endpoint outlives it, as long as there is one."""
    its = select(WebhookEndpoint.id).where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.project_id == project_id)
    if session.exec(its).first() is None:
        raise NotFound(f"No such {WebhookEndpoint.called}: {endpoint_id}", param="webhook_endpoint_id")


def get_delivery(
    session: Session, project_id: str, endpoint_id: str, delivery_id: str, *, lock: bool = False
) -> WebhookDelivery:
    check_endpoint(session, project_id, endpoint_id)
    is_its = WebhookDelivery.endpoint_id == endpoint_id
    return get_owned(session, WebhookDelivery, delivery_id, project_id, is_its, param="delivery_id", lock=lock)


def show_delivery(session: Session, delivery: WebhookDelivery) -> WebhookDeliveryWithBody:
    """A delivery with everything that is known of it."""
    event = session.get_one(WebhookEvent, delivery.event_id)
    attempts = _attempts(session, [delivery.id]).get(delivery.id, [])
    body = body_of(event, delivery.is_full).decode()
    return WebhookDeliveryWithBody.of(delivery, event, attempts, request_body=body)


def redeliver(session: Session, project_id: str, endpoint_id: str, delivery_id: str) -> WebhookDelivery:
    """Send it again now, under the same `webhook-id`; if that fails, the schedule begins anew."""
    delivery = get_delivery(session, project_id, endpoint_id, delivery_id, lock=True)
    _to_be_tried_now(session, project_id, endpoint_id)  # locked in this order, as by who records an attempt
    begin_anew(delivery)
    make_due(session, delivery)
    return delivery


def begin_anew(delivery: WebhookDelivery) -> None:
    delivery.status, delivery.failure_reason, delivery.finished_at = DeliveryStatus.PENDING, None, None
    delivery.attempts = 0


def _to_be_tried_now(session: Session, project_id: str, endpoint_id: str) -> WebhookEndpoint:
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True)
    if endpoint.disabled_at is not None:
        raise Invalid(
            "The endpoint is disabled: enable it first (`enabled: true`), then ask again",
            code="webhook_endpoint_disabled",
            param="webhook_endpoint_id",
        )
    endpoint.paused_until = None
    return endpoint


def recover(session: Session, project_id: str, endpoint_id: str, asked: RecoveryCreate) -> WebhookRecovery:
    """Begin to deliver what the endpoint has missed: events that it wants and has not answered with 2xx.

    It begins when all that happened until then is there to be seen.
    """
    now = utc_now()
    until = min(now, from_epoch(asked.until)) if asked.until is not None else now
    since = from_epoch(asked.since)
    if since >= until:
        raise Invalid("`since` must be before `until`, and in the past", param="since")
    _to_be_tried_now(session, project_id, endpoint_id)
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
    """A sample event for this endpoint alone, whatever it asked for: sent once, also while it is disabled."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id)
    event = make_sample(session, project_id, type, data)
    delivery = webhooks.new_delivery(event, endpoint.id, endpoint.full_payloads)
    make_due(session, delivery)
    return delivery


def make_sample(session: Session, project_id: str, type: EventType, data: dict[str, Any]) -> WebhookEvent:
    """An event that did not happen: only those see it who read or follow the events."""
    event = WebhookEvent(project_id=project_id, type=type, object_id=data["id"], data=data, is_test=True)
    session.add(event)
    session.flush()
    return event
