"""Enqueues every due row for which no wake-up message was sent lately, because Redis may lose messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import structlog
from kombu.exceptions import OperationalError
from sqlalchemy import ColumnElement, and_, case, func, literal, null, or_, text, update
from sqlmodel import Session, col, select

from shared.broker.queue import MAX_QUEUED_MESSAGES, Task, circuit_breaker, enqueue, lengths, queues_of
from shared.database import transaction
from shared.db.times import utc_now
from shared.due_tables import DUE, Due
from shared.settings import get_settings
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint

SWEEP_BATCH_ROWS = 500  # of one table in one round
# The sweep may fill a queue further than other senders: else one that enqueues all the time would leave no room for the
# rows whose message was lost.
MAX_MESSAGES_AFTER_SWEEP = MAX_QUEUED_MESSAGES + SWEEP_BATCH_ROWS
# A message counts as lost after so many times `enqueue_again_after`, however long the queue is.
LOST_AFTER_INTERVALS = 30
log = structlog.get_logger(__name__)
Rows = Sequence[tuple[str, str | None, datetime | None]]  # id, project, and when a message was sent that may be lost
_rounds = count()
_WITH_DUE_ROWS = text(
    " union all ".join(
        f"select '{model.__tablename__}' where exists (select from {model.__tablename__} where due_at <= :now)"
        for model in DUE
    )
)


@dataclass(frozen=True)
class Message:
    """A wake-up message to be sent: for the row or the parent with this `id`, to this queue."""

    id: str
    project_id: str | None
    queue: str


class Queues:
    """The queues in Redis: how many messages each has, with those that this sweep adds."""

    def __init__(self, messages: dict[str, int]) -> None:
        self._messages = messages

    def message(self, task: Task, id: str, project_id: str | None, enqueued_at: datetime | None) -> Message | None:
        """The message for a row; None if its queue is full, or still has the one that was sent at `enqueued_at`."""
        queue = min(queues_of(task, project_id or id), key=self._messages.__getitem__)
        if self._messages[queue] >= MAX_MESSAGES_AFTER_SWEEP or not self.may_have_lost(queue, enqueued_at):
            return None
        self._messages[queue] += 1
        return Message(id, project_id, queue)

    def may_have_lost(self, queue: str, enqueued_at: datetime | None) -> bool:
        """Of a short queue, workers must have taken every message that was sent more than `enqueue_again_after` ago."""
        intervals = 1 if self._messages[queue] < SWEEP_BATCH_ROWS else LOST_AFTER_INTERVALS
        return enqueued_at is None or enqueued_at < utc_now() - intervals * get_settings().enqueue_again_after


def sweep() -> int:
    """Enqueue the due rows of all tables once. Returns the number of messages sent.

    Several processes may sweep at once: each takes rows that the others have not locked. Each round begins with another
    table, because one with very many due rows leaves the tables after it no room in their queues.
    """
    first = next(_rounds) % len(DUE)
    due = _tables_with_due_rows()
    if not due:
        return 0
    try:
        queues = Queues(lengths())
    except OperationalError as error:
        circuit_breaker.open(error)  # which logs it once, and once more when Redis answers again
        return 0
    sent = 0
    for model in DUE[first:] + DUE[:first]:
        if model.__tablename__ not in due:
            continue
        marked = WebhookEndpoint if model is WebhookDelivery else model
        with transaction() as session:
            messages = _take(session, model, queues)
        for index, message in enumerate(messages):
            if not enqueue(model.task, message.id, message.project_id, queue=message.queue):
                _put_back(marked, [each.id for each in messages[index:]])
                return sent
            sent += 1
    return sent


def _tables_with_due_rows() -> set[str]:
    """One cheap question for all tables, since mostly nothing is due."""
    with transaction() as session:
        return set(session.scalars(_WITH_DUE_ROWS, {"now": utc_now()}))


def _put_back(model: type[Due] | type[WebhookEndpoint], ids: list[str]) -> None:
    """Redis has failed: let the next sweep take these rows again, for which no message was sent."""
    with transaction() as session:
        session.exec(update(model).where(col(model.id).in_(ids)).values(enqueued_at=None))


def _take(session: Session, model: type[Due], queues: Queues) -> list[Message]:
    """Mark due rows as enqueued, and return their messages."""
    rows = _due_endpoints(session) if model is WebhookDelivery else _due_rows(session, model)
    taken = [message for row in rows if (message := queues.message(model.task, *row)) is not None]
    marked = WebhookEndpoint if model is WebhookDelivery else model
    if taken:
        these = col(marked.id).in_([message.id for message in taken])
        session.exec(update(marked).where(these).values(enqueued_at=utc_now()))
    return taken


def _due_endpoints(session: Session) -> Rows:
    """Endpoints with due deliveries. One gets one message, however many are due, and none while it backs off."""
    due = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == WebhookEndpoint.id, col(WebhookDelivery.due_at) <= utc_now()
    )
    is_new = due.where(col(WebhookDelivery.due_at) > col(WebhookEndpoint.enqueued_at)).exists()
    sent_at = case((is_new, null()), else_=col(WebhookEndpoint.enqueued_at))
    is_open = or_(col(WebhookEndpoint.paused_until).is_(None), col(WebhookEndpoint.paused_until) <= utc_now())
    query = select(WebhookEndpoint.id, WebhookEndpoint.project_id, sent_at)
    query = query.where(is_open, due.exists(), _is_lost(sent_at)).limit(SWEEP_BATCH_ROWS)
    return session.exec(query.with_for_update(of=WebhookEndpoint, skip_locked=True, key_share=True)).all()


def _due_rows(session: Session, model: type[Due]) -> Rows:
    """The longest due first; if there are many, the longest due of each project, then the second of each, and so on."""
    project_id = getattr(model, "project_id", literal(None))
    sent_at = case((col(model.enqueued_at) < col(model.due_at), null()), else_=col(model.enqueued_at))
    is_due = and_(col(model.due_at) <= utc_now(), _is_lost(sent_at))
    query = select(model.id, project_id, sent_at).where(is_due).order_by(col(model.due_at))
    rows = session.exec(query.limit(SWEEP_BATCH_ROWS).with_for_update(skip_locked=True, key_share=True)).all()
    if len(rows) < SWEEP_BATCH_ROWS:
        return rows
    turn = func.row_number().over(partition_by=project_id, order_by=col(model.due_at)).label("turn")
    turns = select(model.id, turn, col(model.due_at)).where(is_due).subquery()
    first = select(turns.c.id).order_by(turns.c.turn, turns.c.due_at).limit(SWEEP_BATCH_ROWS)
    in_turn = query.where(col(model.id).in_(first))
    return session.exec(in_turn.with_for_update(skip_locked=True, key_share=True)).all()


def _is_lost(sent_at: ColumnElement[datetime | None]) -> ColumnElement[bool]:
    """No message was sent, or one that a short queue would not have any more."""
    return or_(sent_at.is_(None), sent_at < utc_now() - get_settings().enqueue_again_after)
