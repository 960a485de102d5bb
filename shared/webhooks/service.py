"""Creates, changes and disables webhook endpoints, and writes events with a delivery for each endpoint."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.db.claims import make_due
from shared.db.owned import get_owned
from shared.db.quotas import count_up_to, one_at_a_time
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.projects.quotas import quotas_in_force
from shared.security.secrets import seal, unseal
from shared.security.ssrf import check_url
from shared.webhooks import readers
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

OLD_SECRET_LIFETIME = timedelta(hours=24)


def create_endpoint(session: Session, project_id: str, new: WebhookEndpointCreate) -> tuple[WebhookEndpoint, str]:
    """Create an endpoint, and return it with its signing secret, which cannot be shown again.

    Raises `Invalid` for a URL that may not be called, and for one endpoint too many.
    """
    check_url(new.url)
    _check_count(session, project_id)
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


def _check_count(session: Session, project_id: str) -> None:
    limit = quotas_in_force(session, project_id).webhook_endpoints
    if limit is None:
        return
    one_at_a_time(session, "webhook_endpoints", project_id)
    if count_up_to(session, endpoints_of(project_id), limit) >= limit:
        raise Invalid(f"A project may have {limit} webhook endpoints: delete one first", code="too_many_endpoints")


def endpoints_of(project_id: str) -> SelectOfScalar[str]:
    """Return a query for the ids of the endpoints that are not deleted."""
    is_deleted = col(WebhookEndpoint.deleted_at).is_not(None)
    return select(WebhookEndpoint.id).where(WebhookEndpoint.project_id == project_id, ~is_deleted)


def update_endpoint(session: Session, project_id: str, endpoint_id: str, new: WebhookEndpointUpdate) -> WebhookEndpoint:
    """Change the given fields. If none of them differs, `updated_at` stays as it is."""
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
        clear_failures(endpoint)
    if _set_enabled(session, endpoint, new.enabled) or changed:
        endpoint.updated_at = utc_now()
    return endpoint


def _set_enabled(session: Session, endpoint: WebhookEndpoint, enabled: bool | None) -> bool:
    """Return whether this changes the endpoint."""
    if enabled is None or enabled is (endpoint.disabled_at is None):
        return False
    if enabled:
        endpoint.disabled_at, endpoint.disabled_reason = None, None
        clear_failures(endpoint)
    else:
        disable(session, endpoint, DisabledReason.REQUESTED)
    return True


def clear_failures(endpoint: WebhookEndpoint) -> None:
    """Reset the count of failures and end the pause: an attempt succeeded, or the owner changed or enabled it."""
    endpoint.failing_since, endpoint.consecutive_failures, endpoint.paused_until = None, 0, None


def disable(session: Session, endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    """Stop sending to an endpoint, and give up its pending deliveries. Emits an event unless the owner disabled it."""
    endpoint.disabled_at, endpoint.disabled_reason = utc_now(), reason
    note_missed(endpoint, _oldest_unanswered(session, endpoint) or endpoint.disabled_at)
    _give_up_pending(session, endpoint.id, FailureReason.DISABLED)
    if reason is not DisabledReason.REQUESTED:
        data = WebhookEndpointPublic.of(endpoint).model_dump(mode="json")
        write_event(session, endpoint.project_id, EventType.ENDPOINT_DISABLED, data)


def note_missed(endpoint: WebhookEndpoint, since: datetime) -> None:
    """Record that an event of this time did not reach the endpoint: only a recovery can deliver it."""
    endpoint.missed_since = min(endpoint.missed_since or since, since)


def _oldest_unanswered(session: Session, endpoint: WebhookEndpoint) -> datetime | None:
    """Return the time of the oldest event that is pending or was given up since the endpoint began to fail.

    `failing_since` would be too late: an event is older than the first attempt to deliver it.
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
    """Give up the deliveries that no worker has claimed.

    A claimed one is skipped: its worker may be waiting for the lock on this endpoint, and then sees that it is disabled
    or deleted.
    """
    pending = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == endpoint_id,
        col(WebhookDelivery.due_at).is_not(None),
        col(WebhookDelivery.failures) == 0,
    )
    if reason is FailureReason.DISABLED:  # tests are sent to a disabled endpoint too
        tests = select(WebhookEvent.id).where(col(WebhookEvent.is_test).is_(True))
        pending = pending.where(col(WebhookDelivery.event_id).not_in(tests))
    ids = pending.with_for_update(skip_locked=True, key_share=True)
    given_up = {"status": DeliveryStatus.FAILED, "failure_reason": reason, "finished_at": utc_now(), "due_at": None}
    session.exec(update(WebhookDelivery).where(col(WebhookDelivery.id).in_(ids)).values(given_up))


def delete_endpoint(session: Session, project_id: str, endpoint_id: str) -> None:
    """Delete an endpoint and give up its pending deliveries."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True)
    endpoint.deleted_at = utc_now()
    _give_up_pending(session, endpoint.id, FailureReason.DELETED)


def rotate_secret(session: Session, project_id: str, endpoint_id: str, keep_old: bool) -> tuple[WebhookEndpoint, str]:
    """Replace the signing secret and return the new one. With `keep_old` the old one also signs for 24 hours."""
    endpoint = get_owned(session, WebhookEndpoint, endpoint_id, project_id, lock=True)
    endpoint.sealed_old_secret = endpoint.sealed_secret if keep_old else None
    endpoint.old_secret_expires_at = utc_now() + OLD_SECRET_LIFETIME if keep_old else None
    return endpoint, replace_secret(endpoint)


def replace_secret(endpoint: WebhookEndpoint) -> str:
    """Make, seal and return a new signing secret. Leaves `sealed_old_secret` as it is."""
    secret = _new_secret()
    endpoint.sealed_secret, endpoint.signing_secret_hint = seal(secret, endpoint.seal_context), _hint(secret)
    endpoint.updated_at = utc_now()
    return secret


def signing_secrets(endpoint: WebhookEndpoint) -> list[str]:
    """Return the secrets with which deliveries are signed now, the newest first."""
    sealed = [endpoint.sealed_secret]
    if endpoint.sealed_old_secret and endpoint.old_secret_expires_at and endpoint.old_secret_expires_at > utc_now():
        sealed.append(endpoint.sealed_old_secret)
    return [unseal(each, endpoint.seal_context) for each in sealed]


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _hint(secret: str) -> str:
    return f"whsec_…{secret[-5:]}"


def write_event(session: Session, project_id: str, type: EventType, data: dict[str, Any]) -> WebhookEvent | None:
    """Write an event, and a delivery for each enabled endpoint with its type, in the caller's transaction.

    Returns None, and writes nothing, if nobody can ever ask for it: the project has no endpoint and reads no events.

    Call `shared.notifications.events.emit` instead: it also writes the e-mails. Write directly only
    events of a type that `NotificationType` does not have.
    """
    is_wanted = and_(col(WebhookEndpoint.disabled_at).is_(None), col(WebhookEndpoint.event_types).contains([type]))
    endpoints = select(WebhookEndpoint.id, WebhookEndpoint.full_payloads, is_wanted).where(
        WebhookEndpoint.project_id == project_id, col(WebhookEndpoint.deleted_at).is_(None)
    )
    found = session.exec(endpoints).all()
    if not found and not readers.has_readers(session, project_id):
        return None
    event = WebhookEvent(project_id=project_id, type=type, object_id=data["id"], data=data)
    session.add(event)
    session.flush()
    for endpoint_id, is_full, wants_it in found:
        if wants_it:
            make_due(session, new_delivery(event, endpoint_id, is_full))
    return event


def new_delivery(event: WebhookEvent, endpoint_id: str, is_full: bool) -> WebhookDelivery:
    is_full = is_full or not EventType(event.type).is_thin
    return WebhookDelivery(project_id=event.project_id, event_id=event.id, endpoint_id=endpoint_id, is_full=is_full)
