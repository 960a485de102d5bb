"""Enqueues every due row for which no wake-up message was sent lately, because Redis may lose messages."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import structlog
from kombu.exceptions import OperationalError
from sqlalchemy import ColumnElement, and_, literal, or_, update
from sqlmodel import Session, col, select

from shared.broker.queue import MAX_QUEUED_MESSAGES, circuit_breaker, enqueue, length, queue_of
from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile, Upload
from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now
from shared.jobs.models import Job, TunedModel, Watch
from shared.jobs.queue.models import JobQueue
from shared.notifications.models import Notification
from shared.projects.models import Credential
from shared.settings import get_settings
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookRecovery

SWEEP_BATCH_ROWS = 500  # of one table in one round
# The sweep may fill a queue further than other senders: else one that enqueues all the time would leave no room for the
# rows whose message was lost.
MAX_MESSAGES_AFTER_SWEEP = MAX_QUEUED_MESSAGES + SWEEP_BATCH_ROWS
# A message counts as lost after so many times `enqueue_again_after`, however long the queue is.
LOST_AFTER_INTERVALS = 30
log = structlog.get_logger(__name__)
DUE: tuple[type[DueTable] | type[OwnedDue], ...] = (
    Watch,
    Job,
    JobQueue,
    WebhookDelivery,
    WebhookRecovery,
    ProviderFile,
    Dataset,
    Upload,
    TunedModel,
    Credential,
    Notification,
)
_rounds = count()


@dataclass(frozen=True)
class Queue:
    """A queue in Redis. `room`: how many more messages it takes in this round. `is_short`: workers must have taken
    every message that was sent more than `enqueue_again_after` ago."""

    room: int
    is_short: bool

    def may_have_lost(self, enqueued_at: Any) -> ColumnElement[bool]:
        """Whether a message that was sent at this time is to be sent again."""
        now, interval = utc_now(), get_settings().enqueue_again_after
        taken_or_lost = and_(col(enqueued_at) < now - interval, literal(self.is_short))
        return or_(taken_or_lost, col(enqueued_at) < now - LOST_AFTER_INTERVALS * interval)


def sweep() -> int:
    """Enqueue the due rows of all tables once. Returns the number of messages sent.

    Several processes may sweep at once: each takes rows that the others have not locked. Each round begins with another
    table, because one with very many due rows leaves the tables after it no room in their queue.
    """
    sent, first = 0, next(_rounds) % len(DUE)
    for model in DUE[first:] + DUE[:first]:
        try:
            messages = length(queue_of(model.task))
        except OperationalError as error:
            circuit_breaker.open(error)  # which logs it once, and once more when Redis answers again
            return sent
        room = min(SWEEP_BATCH_ROWS, MAX_MESSAGES_AFTER_SWEEP - messages)
        if room <= 0:
            continue
        queue = Queue(room, is_short=messages < SWEEP_BATCH_ROWS)
        with transaction() as session:
            ids = _take_endpoints(session, queue) if model is WebhookDelivery else _take(session, model, queue)
        for index, id in enumerate(ids):
            if not enqueue(model.task, id, even_if_full=True):
                _put_back(WebhookEndpoint if model is WebhookDelivery else model, ids[index:])
                return sent
            sent += 1
    return sent


def _put_back(model: type[DueTable] | type[OwnedDue] | type[WebhookEndpoint], ids: list[str]) -> None:
    """Redis has failed: let the next sweep take these rows again, for which no message was sent."""
    with transaction() as session:
        session.exec(update(model).where(col(model.id).in_(ids)).values(enqueued_at=None))


def _take_endpoints(session: Session, queue: Queue) -> list[str]:
    """Mark endpoints with due deliveries as enqueued, and return their ids. An endpoint gets one message, however many
    deliveries are due, and none while it backs off."""
    now = utc_now()
    due = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == WebhookEndpoint.id, col(WebhookDelivery.due_at) <= now
    )
    not_lately = or_(
        col(WebhookEndpoint.enqueued_at).is_(None),
        queue.may_have_lost(WebhookEndpoint.enqueued_at),
        due.where(col(WebhookDelivery.due_at) > col(WebhookEndpoint.enqueued_at)).exists(),
    )
    is_open = or_(col(WebhookEndpoint.paused_until).is_(None), col(WebhookEndpoint.paused_until) <= now)
    endpoints = select(WebhookEndpoint.id).where(is_open, due.exists(), not_lately).limit(queue.room)
    ids = list(session.exec(endpoints.with_for_update(of=WebhookEndpoint, skip_locked=True, key_share=True)))
    if ids:
        session.exec(update(WebhookEndpoint).where(col(WebhookEndpoint.id).in_(ids)).values(enqueued_at=now))
    return ids


def _take(session: Session, model: type[DueTable] | type[OwnedDue], queue: Queue) -> list[str]:
    """Mark due rows as enqueued, and return their ids, the longest due first."""
    now = utc_now()
    not_lately = or_(
        col(model.enqueued_at).is_(None),
        col(model.enqueued_at) < col(model.due_at),
        queue.may_have_lost(model.enqueued_at),
    )
    due = select(model.id).where(col(model.due_at) <= now, not_lately).order_by(col(model.due_at)).limit(queue.room)
    ids = list(session.exec(due.with_for_update(skip_locked=True, key_share=True)))
    if ids:
        session.exec(update(model).where(col(model.id).in_(ids)).values(enqueued_at=now))
    return ids
