"""Sends webhook deliveries: signs each attempt, posts it and records the answer."""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

from sqlalchemy import ColumnElement, and_
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select
from standardwebhooks import Webhook

from shared.broker.queue import Task, enqueue
from shared.database import lost_deadlock
from shared.db.times import utc_now
from shared.metrics.instruments import DELIVERY_SECONDS, STEP_SECONDS, StepOutcome
from shared.settings import get_settings
from shared.telemetry import spans
from shared.version import VERSION
from shared.webhooks import outcomes
from shared.webhooks import service as webhooks
from shared.webhooks.deliveries import body_of
from shared.webhooks.models import FailureReason, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from worker.net import http_client
from worker.net.retry_after import retry_after
from worker.runtime.errors import LeaseLost, NotNow, StepError
from worker.runtime.steps import Step, log, record, record_failure, run_one
from worker.webhooks import usual
from worker.webhooks.concurrency import ConcurrencySlots
from worker.webhooks.usual import Plan

USER_AGENT = f"Tunery/{VERSION} (webhooks)"
MAX_ANSWER_BYTES_KEPT = 2048
MAX_SECONDS_PER_TASK = 10.0  # a worker that is asked to stop waits for its tasks
# After these numbers of deliveries a task enqueues another task, so that threads double while deliveries are due.
ENQUEUES_AFTER_DELIVERIES = {2, 4, 8, 16, 32}

slots = ConcurrencySlots()
stopping = Event()  # set when this worker is asked to stop


def deliver(endpoint_id: str, project_id: str) -> None:
    """Delivers what is due for this endpoint, and then whatever else is due for its project.

    If the endpoint has no free concurrency slot, returns: a running delivery checks again when it releases one.
    """
    stop_at = time.monotonic() + MAX_SECONDS_PER_TASK
    if slots.is_full(endpoint_id):
        return
    for number in count(1):
        visit = Visit()
        try:
            _deliver_first(visit, project_id, endpoint_id if number == 1 else None)
        finally:
            visit.end()
        if visit.found_nothing_to_do():
            return
        is_over = stopping.is_set() or time.monotonic() >= stop_at
        if is_over or (number in ENQUEUES_AFTER_DELIVERIES and not slots.is_full(visit.endpoint_id)):
            enqueue(Task.DELIVER_WEBHOOKS, visit.endpoint_id, project_id)
        if is_over:
            return


def _of_project(project_id: str) -> ColumnElement[bool]:
    """A project's deliveries, but for endpoints that have no free slot or are paused after failures."""
    paused = select(WebhookEndpoint.id).where(
        WebhookEndpoint.project_id == project_id, col(WebhookEndpoint.paused_until) > utc_now()
    )
    endpoint_id = col(WebhookDelivery.endpoint_id)
    return and_(
        col(WebhookDelivery.project_id) == project_id,
        endpoint_id.not_in(slots.full_endpoints()),
        endpoint_id.not_in(paused),
    )


@dataclass(frozen=True)
class Outcome:
    attempt: WebhookAttempt
    retry_after: timedelta | None


class Visit:
    """One delivery, and whether it has a concurrency slot."""

    def __init__(self) -> None:
        self.project_id = self.endpoint_id = ""
        self._has_slot = False

    def plan(self, session: Session, delivery: WebhookDelivery) -> Plan | None:
        self.take_slot(delivery)
        return _plan(session, delivery)

    def take_slot(self, delivery: WebhookDelivery) -> None:
        """Raises `NotNow` if none is free."""
        self.project_id, self.endpoint_id = delivery.project_id, delivery.endpoint_id
        self._has_slot = slots.acquire(self.project_id, self.endpoint_id)
        if not self._has_slot:
            raise NotNow

    def end(self) -> None:
        if self._has_slot:
            slots.release(self.project_id, self.endpoint_id)

    def found_nothing_to_do(self) -> bool:
        """Nothing was due, or no slot is free: one that was released meanwhile could leave this delivery unseen."""
        return not self._has_slot and not (self.project_id and slots.is_free(self.project_id, self.endpoint_id))


def _deliver_first(visit: Visit, project_id: str, endpoint_id: str | None) -> None:
    """Deliver what has been due longest, of the endpoint or else of the project."""
    try:
        _deliver_usual(visit, project_id, endpoint_id)
    except usual.Unusual:
        of_endpoint = col(WebhookDelivery.endpoint_id) == endpoint_id
        run_one(replace(attempt, plan=visit.plan), _of_project(project_id) if endpoint_id is None else of_endpoint)


def _deliver_usual(visit: Visit, project_id: str, endpoint_id: str | None) -> None:
    """Raises `usual.Unusual`."""
    began = time.monotonic()
    with suppress(NotNow), spans.step(WebhookDelivery.__tablename__):
        try:
            plan = usual.claim(project_id, endpoint_id, slots.full_endpoints(), visit.take_slot)
        except OperationalError as error:
            if not lost_deadlock(error):
                raise
            log.warning("a claim gave way to another transaction and is repeated", project_id=project_id)
            raise usual.Unusual from None
        if plan is not None:
            spans.claimed(plan.delivery)
            outcome = _send(plan)
            STEP_SECONDS.labels(WebhookDelivery.__tablename__, outcome).observe(time.monotonic() - began)


def _send(plan: Plan) -> StepOutcome:
    delivery = plan.delivery
    try:
        outcome = _call(plan)
        if outcome.attempt.error is not None or not usual.record_success(delivery, outcome.attempt):
            record(attempt, delivery, plan, outcome)
    except LeaseLost:
        log.warning("the lease ran out: the answer is dropped", row=delivery.id)
        return StepOutcome.LEASE_LOST
    except Exception as error:
        record_failure(attempt, delivery.id, delivery, error)
        return StepOutcome.FAILED
    return StepOutcome.DONE


def _plan(session: Session, delivery: WebhookDelivery) -> Plan | None:
    both = select(WebhookEndpoint, WebhookEvent).join(WebhookEvent, col(WebhookEvent.id) == delivery.event_id)
    endpoint, event = session.exec(both.where(WebhookEndpoint.id == delivery.endpoint_id)).one()
    if endpoint.deleted_at is not None:
        outcomes.finish(delivery, FailureReason.DELETED)
        return None
    if not event.is_test:
        if endpoint.disabled_at is not None:
            outcomes.give_up_disabled(endpoint, delivery, event)
            return None
        if endpoint.paused_until is not None and endpoint.paused_until > utc_now():
            raise NotNow
    return Plan(delivery, event, endpoint)


def _call(plan: Plan) -> Outcome:
    began, started = utc_now(), time.monotonic()
    body = body_of(plan.event, plan.delivery.is_full)
    headers = _headers(plan, body) | spans.headers()
    made = WebhookAttempt(
        created_at=began,
        project_id=plan.delivery.project_id,
        delivery_id=plan.delivery.id,
        url=plan.endpoint.url,
        request_headers=headers,
        duration_ms=0,
        finished_at=began,
    )
    asked_for = None
    try:
        network, timeout = http_client.network_of(plan.endpoint.project_id), get_settings().webhook_timeout
        response = http_client.post(plan.endpoint.url, body, headers, timeout, network)
    except http_client.Undeliverable as undeliverable:
        made.error, made.address = str(undeliverable), undeliverable.address
    else:
        made.response_status, made.address = response.status, response.address
        made.response_headers = [list(header) for header in response.headers]
        made.response_body = _text(response.body[:MAX_ANSWER_BYTES_KEPT])
        made.error = None if 200 <= response.status < 300 else f"HTTP {response.status}"
        asked_for = retry_after(dict(response.headers).get("retry-after", ""))
    seconds = time.monotonic() - started
    DELIVERY_SECONDS.labels(made.response_status or "no answer").observe(seconds)
    made.duration_ms, made.finished_at = round(seconds * 1000), utc_now()
    slots.record_answer(plan.endpoint.id, succeeded=made.error is None)
    _tell(plan, made)
    return Outcome(made, asked_for)


def _tell(plan: Plan, made: WebhookAttempt) -> None:
    error = None if made.error is None else "not delivered"
    noted = {"tunery.endpoint": plan.endpoint.id, "tunery.status": made.response_status or "no answer"}
    spans.describe(noted, error=error)
    log.info(
        "webhook attempt",
        delivery=plan.delivery.id,
        endpoint=plan.endpoint.id,
        status=made.response_status,
        error=made.error,
        duration_ms=made.duration_ms,
    )


def _text(body: bytes) -> str:
    return body.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _headers(plan: Plan, body: bytes) -> dict[str, str]:
    now = datetime.now(UTC)
    signatures = [
        Webhook(secret).sign(plan.delivery.id, now, body.decode()) for secret in webhooks.signing_secrets(plan.endpoint)
    ]
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": plan.delivery.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _record(session: Session, delivery: WebhookDelivery, plan: Plan, outcome: Outcome | StepError) -> None:
    if isinstance(outcome, StepError):
        raise outcome  # `_call` turns every failure of the receiver into an `Outcome`
    made = outcome.attempt
    if plan.event.is_test:
        session.add(made)
        outcomes.finish(delivery, FailureReason.TEST if made.error else None)
    else:
        outcomes.record_attempt(session, delivery, plan.endpoint, made, outcome.retry_after)


def _give_up(_: Session, delivery: WebhookDelivery) -> None:
    outcomes.finish(delivery, FailureReason.INTERNAL)


attempt = Step(WebhookDelivery, _plan, _call, _record, _give_up)
