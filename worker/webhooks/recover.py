"""Recovers missed events of an endpoint: each step makes the deliveries of a batch of events due again."""

from datetime import timedelta

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from shared.db.claims import release
from shared.db.times import epoch, utc_now
from shared.webhooks import deliveries
from shared.webhooks import service as webhooks
from shared.webhooks.event_filter import made_between
from shared.webhooks.models import (
    DeliveryStatus,
    RecoveryStatus,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookRecovery,
)
from worker.runtime.errors import StepError
from worker.runtime.steps import Step

MAX_EVENTS_PER_STEP = 500  # keeps the transaction short


def _plan(session: Session, recovery: WebhookRecovery) -> None:
    """Do the whole step here, since it makes no network call.

    The lock on the endpoint makes two recoveries of it run one after the other, so that no delivery is created twice.
    """
    query = select(WebhookEndpoint).where(WebhookEndpoint.id == recovery.endpoint_id)
    endpoint = session.exec(query.with_for_update(key_share=True)).one()
    if endpoint.deleted_at is not None or endpoint.disabled_at is not None:
        _finish(recovery, RecoveryStatus.FAILED)
        return
    events = _next_events(session, recovery)
    missed = _missed(session, endpoint, events)
    for delivery in missed:
        if delivery.status is DeliveryStatus.FAILED:
            deliveries.restart(delivery)
        delivery.due_at, delivery.enqueued_at = utc_now(), None  # the sweep enqueues all of them, in order
        session.add(delivery)
    recovery.events += len(events)
    recovery.deliveries += len(missed)
    if len(events) < MAX_EVENTS_PER_STEP:
        _clear_missed_since(endpoint, recovery)
        _finish(recovery, RecoveryStatus.COMPLETED)
    else:
        recovery.last_event_id = events[-1].id
        release(recovery, utc_now())


def _next_events(session: Session, recovery: WebhookRecovery) -> list[WebhookEvent]:
    query = select(WebhookEvent).where(
        WebhookEvent.project_id == recovery.project_id,
        *made_between(recovery.since.timestamp(), recovery.until.timestamp()),
        col(WebhookEvent.is_test).is_(False),
    )
    if recovery.last_event_id is not None:
        query = query.where(WebhookEvent.id > recovery.last_event_id)
    return list(session.exec(query.order_by(WebhookEvent.id).limit(MAX_EVENTS_PER_STEP)))


def _missed(session: Session, endpoint: WebhookEndpoint, events: list[WebhookEvent]) -> list[WebhookDelivery]:
    """Return the deliveries to send again, in the order of their events: failed ones, those that wait for a retry, and
    new ones for events that the endpoint wants and had no delivery of. Those that are due or claimed are left out.
    """
    wanted = [event for event in events if event.type in endpoint.event_types]
    of_these = (
        WebhookDelivery.endpoint_id == endpoint.id,
        col(WebhookDelivery.event_id).in_([event.id for event in wanted]),
    )
    with_delivery = set(session.exec(select(WebhookDelivery.event_id).where(*of_these)))
    waits_for_retry = and_(col(WebhookDelivery.due_at) > utc_now(), col(WebhookDelivery.failures) == 0)
    has_failed = col(WebhookDelivery.status) == DeliveryStatus.FAILED
    existing = select(WebhookDelivery).where(*of_these, or_(has_failed, waits_for_retry))
    missed = list(session.exec(existing.with_for_update(skip_locked=True, key_share=True)))
    missed += [
        webhooks.new_delivery(event, endpoint.id, endpoint.full_payloads)
        for event in wanted
        if event.id not in with_delivery
    ]
    return sorted(missed, key=lambda delivery: delivery.event_id)


def _clear_missed_since(endpoint: WebhookEndpoint, recovery: WebhookRecovery) -> None:
    """Clear `missed_since` if the recovery covers all of the time from it until the recovery was requested."""
    since = endpoint.missed_since
    until_now = recovery.until >= recovery.created_at - timedelta(seconds=1)  # `until` may be given in whole seconds
    if since is not None and recovery.since.timestamp() <= epoch(since) and since <= recovery.until and until_now:
        endpoint.missed_since = None


def _finish(recovery: WebhookRecovery, status: RecoveryStatus) -> None:
    recovery.status, recovery.finished_at = status, utc_now()
    release(recovery, None)


def _call(_: None) -> None: ...


def _record(session: Session, recovery: WebhookRecovery, _: None, __: StepError | None) -> None: ...


def _give_up(_: Session, recovery: WebhookRecovery) -> None:
    _finish(recovery, RecoveryStatus.FAILED)


recover = Step(WebhookRecovery, _plan, _call, _record, _give_up)
