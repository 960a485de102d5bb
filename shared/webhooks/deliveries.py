"""Reads the log of deliveries, and sends again: redelivers one, recovers missed events, sends a test."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from shared.db.claims import make_due
from shared.db.ids import COMMIT_WINDOW, first_id
from shared.db.owned import check_cursor, get_owned, list_owned
from shared.db.times import epoch, from_epoch, utc_now
from shared.errors import Invalid, NotFound
from shared.webhooks import quota
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

CLOCK_SKEW_SECONDS = 60.0  # ids are made by the clocks of several processes


@dataclass(frozen=True, kw_only=True)
class EventFilter:
    """Selects events by type, by the object they are about, and by time (Unix seconds, both bounds included)."""

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

    def admits(self, type: str, object_id: str, created_at: datetime) -> bool:
        """Whether an event that has been read meets the conditions."""
        made = created_at.timestamp()
        return (
            self.type in {None, type}
            and self.object_id in {None, object_id}
            and (self.since is None or made >= self.since)
            and (self.until is None or made < self.until + 1)
        )


def made_between(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    """Return conditions for events made between two times in Unix seconds; all of the second `until` is included.

    Ids begin with the time and are indexed, so the conditions on ids make the query fast; they allow for clock skew.
    """
    found = _ids_between(col(WebhookEvent.id), since, until)
    if since is not None:
        found.append(col(WebhookEvent.created_at) >= from_epoch(since))
    if until is not None:
        found.append(col(WebhookEvent.created_at) < from_epoch(until + 1))
    return found


def _ids_between(event_id: Any, since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if since is not None:
        earliest = from_epoch(max(since - CLOCK_SKEW_SECONDS, 0))
        found.append(event_id >= first_id(WebhookEvent.id_prefix, earliest))
    if until is not None:
        latest = from_epoch(until + 1 + CLOCK_SKEW_SECONDS)
        found.append(event_id < first_id(WebhookEvent.id_prefix, latest))
    return found


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
    query = (
        select(WebhookDelivery, WebhookEvent)
        .join(WebhookEvent, col(WebhookEvent.id) == WebhookDelivery.event_id)
        .where(
            WebhookDelivery.project_id == project_id, WebhookDelivery.endpoint_id == endpoint_id, *wanted.conditions()
        )
        .order_by(col(WebhookDelivery.id).desc())
    )
    # The event's id says its time too: a delivery of another time is passed over without reading its event.
    query = query.where(*_ids_between(col(WebhookDelivery.event_id), wanted.since, wanted.until))
    if status is not None:
        query = query.where(col(WebhookDelivery.status) == status)
    if after is not None:
        check_cursor(session, WebhookDelivery, after, project_id)
        query = query.where(WebhookDelivery.id < after)
    rows = session.exec(query.limit(limit + 1)).all()
    attempts = _attempts(session, [delivery.id for delivery, _ in rows])
    return [
        WebhookDeliveryPublic.of(delivery, event, endpoint, attempts.get(delivery.id, [])) for delivery, event in rows
    ]


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
