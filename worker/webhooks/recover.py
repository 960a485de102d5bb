"""One step of a recovery: go through some of the events that an endpoint may have missed."""

from datetime import timedelta

from sqlalchemy import and_, or_
from sqlmodel import Session, col, select

from shared.db.claims import release
from shared.db.times import epoch, utc_now
from shared.webhooks import deliveries
from shared.webhooks import service as webhooks
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
    """All of the work is in Postgres, so nothing is left to be asked. Two of one endpoint wait for each other."""
    its = select(WebhookEndpoint).where(WebhookEndpoint.id == recovery.endpoint_id)
    endpoint = session.exec(its.with_for_update(key_share=True)).one()
    if endpoint.deleted_at is not None or endpoint.disabled_at is not None:
        _finish(recovery, RecoveryStatus.FAILED)
        return
    events = _next_events(session, recovery)
    again = _missed(session, endpoint, events)
    for delivery in again:
        if delivery.status is DeliveryStatus.FAILED:
            deliveries.begin_anew(delivery)
        delivery.due_at, delivery.enqueued_at = utc_now(), None  # the sweep enqueues all of them, in order
        session.add(delivery)
    recovery.events += len(events)
    recovery.deliveries += len(again)
    if len(events) < MAX_EVENTS_PER_STEP:
        _forget_missed(endpoint, recovery)
        _finish(recovery, RecoveryStatus.COMPLETED)
    else:
        recovery.last_event_id = events[-1].id
        release(recovery, utc_now())


def _next_events(session: Session, recovery: WebhookRecovery) -> list[WebhookEvent]:
    query = select(WebhookEvent).where(
        WebhookEvent.project_id == recovery.project_id,
        *deliveries.made_between(recovery.since.timestamp(), recovery.until.timestamp()),
        col(WebhookEvent.is_test).is_(False),
    )
    if recovery.last_event_id is not None:
        query = query.where(WebhookEvent.id > recovery.last_event_id)
    return list(session.exec(query.order_by(WebhookEvent.id).limit(MAX_EVENTS_PER_STEP)))


def _missed(session: Session, endpoint: WebhookEndpoint, events: list[WebhookEvent]) -> list[WebhookDelivery]:
    """A delivery for each event that the endpoint wants and was not told of, or has not answered for; in the order of
    the events. What is due anyway, or on its way, is left alone.
    """
    wanted = [event for event in events if event.type in endpoint.event_types]
    its = (
        WebhookDelivery.endpoint_id == endpoint.id,
        col(WebhookDelivery.event_id).in_([event.id for event in wanted]),
    )
    told = set(session.exec(select(WebhookDelivery.event_id).where(*its)))
    put_off = and_(col(WebhookDelivery.due_at) > utc_now(), col(WebhookDelivery.failures) == 0)
    failed = select(WebhookDelivery).where(*its, or_(col(WebhookDelivery.status) == DeliveryStatus.FAILED, put_off))
    again = list(session.exec(failed.with_for_update(skip_locked=True, key_share=True)))
    again += [
        webhooks.new_delivery(event, endpoint.id, endpoint.full_payloads) for event in wanted if event.id not in told
    ]
    return sorted(again, key=lambda delivery: delivery.event_id)


def _forget_missed(endpoint: WebhookEndpoint, recovery: WebhookRecovery) -> None:
    """Nothing is missed any more, if all was asked for since then."""
    since = endpoint.missed_since
    is_whole = recovery.until >= recovery.created_at - timedelta(seconds=1)
    if since is not None and recovery.since.timestamp() <= epoch(since) and since <= recovery.until and is_whole:
        endpoint.missed_since = None


def _finish(recovery: WebhookRecovery, status: RecoveryStatus) -> None:
    recovery.status, recovery.finished_at = status, utc_now()
    release(recovery, None)


def _call(_: None) -> None: ...


def _record(session: Session, recovery: WebhookRecovery, _: None, __: StepError | None) -> None: ...


def _give_up(_: Session, recovery: WebhookRecovery) -> None:
    _finish(recovery, RecoveryStatus.FAILED)


recover = Step(WebhookRecovery, _plan, _call, _record, _give_up)
