"""Creates, changes and disables webhook endpoints, and writes events with a delivery for each endpoint."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, update
from sqlmodel import Session, col, select

from shared.db.claims import make_due
from shared.db.owned import get_owned
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.security.secrets import seal, unseal
from shared.security.ssrf import check_url
from shared.settings import get_settings
from shared.webhooks.event_types import EventType
from shared.webhooks.models import (
    DeliveryStatus,
    DisabledReason,
    FailureReason,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from shared.webhooks.schemas import WebhookEndpointCreate, WebhookEndpointPublic, WebhookEndpointUpdate

OLD_SECRET_LIVES = timedelta(hours=24)


def create_endpoint(session: Session, project_id: str, new: WebhookEndpointCreate) -> tuple[WebhookEndpoint, str]:
    """An endpoint and its signing secret, which is not shown again."""
    check_url(new.url)
    _check_room(session, project_id)
    now = utc_now()
    endpoint = WebhookEndpoint(
        project_id=project_id,
        created_at=now,
        updated_at=now,
        name=new.name,
        url=new.url,
        event_types=sorted(set(new.event_types)),
        full_payloads=new.full_payloads,
        sealed_secret="",
        signing_secret_hint="",
    )
    session.add(endpoint)
    return endpoint, replace_secret(endpoint)  # sealed for this row, so it needs the row's id first


def _check_room(session: Session, project_id: str) -> None:
    its = WebhookEndpoint.project_id == project_id, col(WebhookEndpoint.deleted_at).is_(None)
    most = get_settings().max_webhook_endpoints
    if session.exec(select(func.count()).select_from(WebhookEndpoint).where(*its)).one() >= most:
        raise Invalid(f"A project has {most} webhook endpoints at most: delete one first", code="too_many_endpoints")


def update_endpoint(session: Session, project_id: str, endpoint_id: str, new: WebhookEndpointUpdate) -> WebhookEndpoint:
    """Changes the fields that are given. An update that changes nothing leaves `updated_at` as it is."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True)
    if new.url is not None:
        check_url(new.url)
    values = new.model_dump(exclude_none=True, exclude={"enabled"})
    if new.event_types is not None:
        values["event_types"] = sorted(set(new.event_types))
    changed = {name: value for name, value in values.items() if getattr(endpoint, name) != value}
    for name, value in changed.items():
        setattr(endpoint, name, value)
    if "url" in changed:
        forgive(endpoint)
    if _switched(session, endpoint, new.enabled) or changed:
        endpoint.updated_at = utc_now()
    return endpoint


def _switched(session: Session, endpoint: WebhookEndpoint, enabled: bool | None) -> bool:
    if enabled is None or enabled is (endpoint.disabled_at is None):
        return False
    if enabled:
        endpoint.disabled_at, endpoint.disabled_reason = None, None
        forgive(endpoint)
    else:
        disable(session, endpoint, DisabledReason.REQUESTED)
    return True


def forgive(endpoint: WebhookEndpoint) -> None:
    """Forgets past failures: the endpoint answers again, or its owner wants it tried now."""
    endpoint.failing_since, endpoint.consecutive_failures, endpoint.paused_until = None, 0, None


def disable(session: Session, endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    """Stops sending to it, and notifies the project unless the project asked for it."""
    endpoint.disabled_at, endpoint.disabled_reason = utc_now(), reason
    note_missed(endpoint, _oldest_unanswered(session, endpoint) or endpoint.disabled_at)
    _give_up_pending(session, endpoint.id, FailureReason.DISABLED)
    if reason is not DisabledReason.REQUESTED:
        data = WebhookEndpointPublic.of(endpoint).model_dump(mode="json")
        write_event(session, endpoint.project_id, EventType.ENDPOINT_DISABLED, data)


def note_missed(endpoint: WebhookEndpoint, since: datetime) -> None:
    """An event of this time has not reached the endpoint, and will not unless it is recovered."""
    endpoint.missed_since = min(endpoint.missed_since or since, since)


def _oldest_unanswered(session: Session, endpoint: WebhookEndpoint) -> datetime | None:
    """When the oldest event was made that is still to be delivered, or was given up since the endpoint began to fail.

    `failing_since` itself would be too late: an event is older than the first attempt to tell of it.
    """
    given_up = and_(
        col(WebhookDelivery.status) == DeliveryStatus.FAILED,
        col(WebhookDelivery.finished_at) >= (endpoint.failing_since or utc_now()),
    )
    unanswered = or_(col(WebhookDelivery.due_at).is_not(None), given_up)
    oldest = (
        select(func.min(WebhookEvent.created_at))
        .join(WebhookDelivery, col(WebhookDelivery.event_id) == WebhookEvent.id)
        .where(WebhookDelivery.endpoint_id == endpoint.id, col(WebhookEvent.is_test).is_(False), unanswered)
    )
    return session.exec(oldest).one()


def _give_up_pending(session: Session, endpoint_id: str, reason: FailureReason) -> None:
    """All but what is on its way, or about to be: that finds out by itself, and may be waiting for this endpoint."""
    pending = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == endpoint_id,
        col(WebhookDelivery.due_at).is_not(None),
        col(WebhookDelivery.failures) == 0,
    )
    if reason is FailureReason.DISABLED:  # whether it answers again may be tried
        tests = select(WebhookEvent.id).where(col(WebhookEvent.is_test).is_(True))
        pending = pending.where(col(WebhookDelivery.event_id).not_in(tests))
    ids = pending.with_for_update(skip_locked=True, key_share=True)
    given_up = {"status": DeliveryStatus.FAILED, "failure_reason": reason, "finished_at": utc_now(), "due_at": None}
    session.exec(update(WebhookDelivery).where(col(WebhookDelivery.id).in_(ids)).values(given_up))


def delete_endpoint(session: Session, project_id: str, endpoint_id: str) -> None:
    """Nothing more is sent to it: what is still pending is given up."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True)
    endpoint.deleted_at = utc_now()
    _give_up_pending(session, endpoint.id, FailureReason.DELETED)


def rotate_secret(session: Session, project_id: str, endpoint_id: str, keep_old: bool) -> tuple[WebhookEndpoint, str]:
    """A new signing secret, not shown again. The old one signs too for another day, if it is to be kept."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True)
    endpoint.sealed_old_secret = endpoint.sealed_secret if keep_old else None
    endpoint.old_secret_expires_at = utc_now() + OLD_SECRET_LIVES if keep_old else None
    return endpoint, replace_secret(endpoint)


def replace_secret(endpoint: WebhookEndpoint) -> str:
    """The new signing secret, beside which the endpoint's old one may go on signing."""
    secret = _new_secret()
    endpoint.sealed_secret, endpoint.signing_secret_hint = seal(secret, endpoint.place), _hint(secret)
    endpoint.updated_at = utc_now()
    return secret


def signing_secrets(endpoint: WebhookEndpoint) -> list[str]:
    """Every secret with which a delivery is signed now, the newest first."""
    sealed = [endpoint.sealed_secret]
    if endpoint.sealed_old_secret and endpoint.old_secret_expires_at and endpoint.old_secret_expires_at > utc_now():
        sealed.append(endpoint.sealed_old_secret)
    return [unseal(each, endpoint.place) for each in sealed]


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _hint(secret: str) -> str:
    return f"whsec_…{secret[-5:]}"


def write_event(session: Session, project_id: str, type: EventType, data: dict[str, Any]) -> WebhookEvent:
    """Writes an event, and a delivery for each endpoint that wants it, in the caller's transaction.

    `shared.notifications.events.emit` calls this and writes the e-mails too; only webhooks' own events come directly.
    """
    event = WebhookEvent(project_id=project_id, type=type, object_id=data["id"], data=data)
    session.add(event)
    session.flush()
    wanted = select(WebhookEndpoint.id, WebhookEndpoint.full_payloads).where(
        WebhookEndpoint.project_id == project_id,
        col(WebhookEndpoint.deleted_at).is_(None),
        col(WebhookEndpoint.disabled_at).is_(None),
        col(WebhookEndpoint.event_types).contains([type]),
    )
    for endpoint_id, is_full in session.exec(wanted):
        make_due(session, new_delivery(event, endpoint_id, is_full))
    return event


def new_delivery(event: WebhookEvent, endpoint_id: str, is_full: bool) -> WebhookDelivery:
    is_full = is_full or not EventType(event.type).is_thin
    return WebhookDelivery(project_id=event.project_id, event_id=event.id, endpoint_id=endpoint_id, is_full=is_full)
