"""One attempt at a delivery: sign it afresh, post it, write down what came back."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event

from sqlalchemy import ColumnElement, and_
from sqlmodel import Session, col, select
from standardwebhooks import Webhook

from shared.broker.queue import Task, enqueue
from shared.db.times import utc_now
from shared.settings import get_settings
from shared.version import VERSION
from shared.webhooks import outcomes
from shared.webhooks import service as webhooks
from shared.webhooks.deliveries import body_of
from shared.webhooks.models import FailureReason, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from worker.net import http_client
from worker.net.retry_after import retry_after
from worker.runtime.errors import StepError
from worker.runtime.steps import NotNow, Step, log, run_one
from worker.webhooks.concurrency import Lanes

USER_AGENT = f"Tunery/{VERSION} (webhooks)"
KEPT_BYTES = 2048
AT_ONE_GO = 10.0  # seconds: tasks are short
ENQUEUES_AFTER = {2, 4, 8, 16, 32}

lanes = Lanes()
stopping = Event()  # set when this worker shall end


def deliver(endpoint_id: str) -> None:
    """Deliver what is due for this endpoint, and then go on with whatever else is due for its project.

    Who finds no lane free leaves it to those on one: each looks again after giving its lane back. Who finds more than
    one thing to do rings for others, as often as there may be lanes.
    """
    stop_at, which = time.monotonic() + AT_ONE_GO, col(WebhookDelivery.endpoint_id) == endpoint_id
    if lanes.is_full(endpoint_id):
        return
    for number in count(1):
        visit = Visit()
        try:
            run_one(replace(attempt, plan=visit.plan), which)
        finally:
            visit.end()
        if visit.found_nothing_to_do():
            return
        is_over = stopping.is_set() or time.monotonic() >= stop_at
        if is_over or (number in ENQUEUES_AFTER and not lanes.is_full(visit.endpoint_id)):
            enqueue(Task.DELIVER_WEBHOOKS, visit.endpoint_id)
        if is_over:
            return
        which = _of_project(visit.project_id)


def _of_project(project_id: str) -> ColumnElement[bool]:
    """What may be delivered for a project now: not where no lane is free, or what is left alone for a while."""
    left_alone = select(WebhookEndpoint.id).where(
        WebhookEndpoint.project_id == project_id, col(WebhookEndpoint.paused_until) > utc_now()
    )
    endpoint_id = col(WebhookDelivery.endpoint_id)
    return and_(
        col(WebhookDelivery.project_id) == project_id, endpoint_id.not_in(lanes.full()), endpoint_id.not_in(left_alone)
    )


@dataclass(frozen=True)
class Plan:
    delivery: WebhookDelivery
    event: WebhookEvent
    endpoint: WebhookEndpoint


@dataclass(frozen=True)
class Outcome:
    attempt: WebhookAttempt
    retry_after: timedelta | None


class Visit:
    """One delivery, and the lane that it is on its way on, if there was one to take."""

    def __init__(self) -> None:
        self.project_id = self.endpoint_id = ""
        self._has_lane = False

    def plan(self, session: Session, delivery: WebhookDelivery) -> Plan | None:
        self.project_id, self.endpoint_id = delivery.project_id, delivery.endpoint_id
        self._has_lane = lanes.take(self.project_id, self.endpoint_id)
        if not self._has_lane:
            raise NotNow
        return _plan(session, delivery)

    def end(self) -> None:
        if self._has_lane:
            lanes.give_back(self.project_id, self.endpoint_id)

    def found_nothing_to_do(self) -> bool:
        """No delivery was due, or no lane free; one that has been given back meanwhile may not have seen this one."""
        return not self._has_lane and not (self.project_id and lanes.is_free(self.project_id, self.endpoint_id))


def _plan(session: Session, delivery: WebhookDelivery) -> Plan | None:
    both = select(WebhookEndpoint, WebhookEvent).join(WebhookEvent, col(WebhookEvent.id) == delivery.event_id)
    endpoint, event = session.exec(both.where(WebhookEndpoint.id == delivery.endpoint_id)).one()
    if endpoint.deleted_at is not None:
        outcomes.finish(delivery, FailureReason.DELETED)
        return None
    if not event.is_test:
        if endpoint.disabled_at is not None:
            outcomes.miss(endpoint, delivery, event)
            return None
        if endpoint.paused_until is not None and endpoint.paused_until > utc_now():
            raise NotNow
    return Plan(delivery, event, endpoint)


def _call(plan: Plan) -> Outcome:
    began, started = utc_now(), time.monotonic()
    body = body_of(plan.event, plan.delivery.is_full)
    headers = _headers(plan, body)
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
        response = http_client.post(plan.endpoint.url, body, headers, get_settings().webhook_timeout)
    except http_client.Undeliverable as undeliverable:
        made.error, made.address = str(undeliverable), undeliverable.address
    else:
        made.response_status, made.address = response.status, response.address
        made.response_headers = [list(header) for header in response.headers]
        made.response_body = _text(response.body[:KEPT_BYTES])
        made.error = None if 200 <= response.status < 300 else f"HTTP {response.status}"
        asked_for = retry_after(dict(response.headers).get("retry-after", ""))
    made.duration_ms, made.finished_at = round((time.monotonic() - started) * 1000), utc_now()
    lanes.note(plan.endpoint.id, has_answered=made.error is None)
    return Outcome(made, asked_for)


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
    log.info(
        "webhook attempt",
        delivery=delivery.id,
        endpoint=plan.endpoint.id,
        status=made.response_status,
        error=made.error,
        duration_ms=made.duration_ms,
    )
    if plan.event.is_test:
        session.add(made)
        outcomes.finish(delivery, FailureReason.TEST if made.error else None)
    else:
        outcomes.record_attempt(session, delivery, plan.endpoint, made, outcome.retry_after)


def _give_up(_: Session, delivery: WebhookDelivery) -> None:
    outcomes.finish(delivery, FailureReason.INTERNAL)


attempt = Step(WebhookDelivery, _plan, _call, _record, _give_up)
