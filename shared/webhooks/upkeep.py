"""Runs from time to time: warns of keys that expire, disables failing endpoints and deletes old rows."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from shared.db.batches import DELETE_BATCH_ROWS, delete_batch
from shared.db.ids import first_id
from shared.db.times import utc_now
from shared.projects import keys
from shared.projects.models import ApiKey
from shared.settings import get_settings
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import (
    DisabledReason,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookRecovery,
)

KEY_EXPIRY_NOTICE = timedelta(days=7)


def notify_expiring_keys(session: Session) -> None:
    """Emits `api_key.expiring` once per key, a week before it expires. Admin keys have no project, so no event."""
    now = utc_now()
    expiring = select(ApiKey).where(
        col(ApiKey.project_id).is_not(None),
        col(ApiKey.revoked_at).is_(None),
        col(ApiKey.expiry_notified_at).is_(None),
        col(ApiKey.expires_at).between(now, now + KEY_EXPIRY_NOTICE),
    )
    for key in session.exec(expiring.order_by(ApiKey.id).with_for_update(skip_locked=True)):
        key.expiry_notified_at = now
        data = keys.show(session, [key])[0].model_dump(mode="json")
        webhooks.write_event(session, key.project_id or "", EventType.API_KEY_EXPIRING, data)


def disable_failing(session: Session) -> None:
    """Disables endpoints that have failed for days and have nothing pending, so that no attempt would disable them."""
    pending = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == WebhookEndpoint.id, col(WebhookDelivery.due_at).is_not(None)
    )
    failing = select(WebhookEndpoint).where(
        col(WebhookEndpoint.failing_since) <= utc_now() - get_settings().webhook_disable_after,
        col(WebhookEndpoint.disabled_at).is_(None),
        col(WebhookEndpoint.deleted_at).is_(None),
        ~pending.exists(),
    )
    for endpoint in session.exec(failing.order_by(WebhookEndpoint.id).with_for_update(skip_locked=True)):
        webhooks.disable(session, endpoint, DisabledReason.FAILING)


def _forget_deliveries(session: Session, before: datetime) -> int:
    """Deletes a batch of old deliveries with their attempts."""
    old = select(WebhookDelivery.id).where(
        WebhookDelivery.id < first_id(WebhookDelivery.id_prefix, before),
        col(WebhookDelivery.due_at).is_(None),
        func.coalesce(WebhookDelivery.finished_at, WebhookDelivery.created_at) < before,
    )
    ids = session.exec(
        old.order_by(WebhookDelivery.id).limit(DELETE_BATCH_ROWS).with_for_update(skip_locked=True)
    ).all()
    session.exec(delete(WebhookAttempt).where(col(WebhookAttempt.delivery_id).in_(ids)))
    session.exec(delete(WebhookDelivery).where(col(WebhookDelivery.id).in_(ids)))
    return len(ids)


def _forget_events(session: Session, before: datetime) -> int:
    """Deletes a batch of old events that have no delivery left."""
    its = select(WebhookDelivery.id).where(WebhookDelivery.event_id == WebhookEvent.id)
    old = select(WebhookEvent.id).where(WebhookEvent.id < first_id(WebhookEvent.id_prefix, before), ~its.exists())
    ids = session.exec(old.order_by(WebhookEvent.id).limit(DELETE_BATCH_ROWS).with_for_update(skip_locked=True)).all()
    session.exec(delete(WebhookEvent).where(col(WebhookEvent.id).in_(ids)))
    return len(ids)


def _forget_recoveries(session: Session, before: datetime) -> int:
    return delete_batch(session, WebhookRecovery, col(WebhookRecovery.finished_at) < before)


# In this order, since an event goes only after its deliveries. Each deletes one batch and returns its size.
FORGET: tuple[Callable[[Session, datetime], int], ...] = (_forget_deliveries, _forget_events, _forget_recoveries)
