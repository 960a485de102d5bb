"""Ring for every row that is due and was not rung lately: the promise behind a doorbell that may fail."""

from dataclasses import dataclass
from itertools import count
from typing import Any

import structlog
from kombu.exceptions import OperationalError
from sqlalchemy import ColumnElement, and_, literal, or_, update
from sqlmodel import Session, col, select

from shared.broker.queue import MAX_QUEUED_MESSAGES, enqueue, length, queue_of
from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile, Upload
from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now
from shared.jobs.models import Job, JobQueue, TunedModel, Watch
from shared.notifications.models import Notification
from shared.projects.models import Credential
from shared.settings import get_settings
from shared.webhooks.models import WebhookDelivery, WebhookEndpoint, WebhookRecovery

AT_ONCE = 500
MOST_SWEPT = MAX_QUEUED_MESSAGES + AT_ONCE  # so that who rings all the time leaves room for those whose ring was lost
LOST_AFTER = 30  # times `enqueue_again_after`: then a ring is repeated, however many others wait to be heard
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
class Bell:
    """How many messages it takes now; and whether those that were sent must have been heard by now, or are lost."""

    room: int
    is_quiet: bool

    def is_to_be_rung_again(self, enqueued_at: Any) -> ColumnElement[bool]:
        now, while_ = utc_now(), get_settings().enqueue_again_after
        heard_or_lost = and_(col(enqueued_at) < now - while_, literal(self.is_quiet))
        return or_(heard_or_lost, col(enqueued_at) < now - LOST_AFTER * while_)


def sweep() -> int:
    """One round over all kinds of rows; how many messages were sent. Several at once share the rows out.

    Each round begins with another kind: one of which very many are due leaves the others no room after it.
    """
    rung, first = 0, next(_rounds) % len(DUE)
    for model in DUE[first:] + DUE[:first]:
        try:
            messages = length(queue_of(model.task))
        except OperationalError:
            log.warning("the doorbell is down: nothing is rung for")
            return rung
        bell = Bell(room=min(AT_ONCE, MOST_SWEPT - messages), is_quiet=messages < AT_ONCE)
        if bell.room <= 0:
            continue
        with transaction() as session:
            ids = _take_endpoints(session, bell) if model is WebhookDelivery else _take(session, model, bell)
        for index, id in enumerate(ids):
            if not enqueue(model.task, id, even_if_full=True):
                _put_back(WebhookEndpoint if model is WebhookDelivery else model, ids[index:])
                return rung
            rung += 1
    return rung


def _put_back(model: type[DueTable] | type[OwnedDue] | type[WebhookEndpoint], ids: list[str]) -> None:
    """The doorbell is down: these have not been rung, and the next sweep shall not think so."""
    with transaction() as session:
        session.exec(update(model).where(col(model.id).in_(ids)).values(enqueued_at=None))


def _take_endpoints(session: Session, bell: Bell) -> list[str]:
    """Endpoints with something due, marked as rung now: one message for each, however much it has, and none for those
    that are left alone for a while."""
    now = utc_now()
    due = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == WebhookEndpoint.id, col(WebhookDelivery.due_at) <= now
    )
    not_lately = or_(
        col(WebhookEndpoint.enqueued_at).is_(None),
        bell.is_to_be_rung_again(WebhookEndpoint.enqueued_at),
        due.where(col(WebhookDelivery.due_at) > col(WebhookEndpoint.enqueued_at)).exists(),
    )
    not_left_alone = or_(col(WebhookEndpoint.paused_until).is_(None), col(WebhookEndpoint.paused_until) <= now)
    endpoints = select(WebhookEndpoint.id).where(not_left_alone, due.exists(), not_lately).limit(bell.room)
    ids = list(session.exec(endpoints.with_for_update(of=WebhookEndpoint, skip_locked=True, key_share=True)))
    if ids:
        session.exec(update(WebhookEndpoint).where(col(WebhookEndpoint.id).in_(ids)).values(enqueued_at=now))
    return ids


def _take(session: Session, model: type[DueTable] | type[OwnedDue], bell: Bell) -> list[str]:
    """Due rows, the longest waiting first, marked as rung now."""
    now = utc_now()
    not_lately = or_(
        col(model.enqueued_at).is_(None),
        col(model.enqueued_at) < col(model.due_at),
        bell.is_to_be_rung_again(model.enqueued_at),
    )
    due = select(model.id).where(col(model.due_at) <= now, not_lately).order_by(col(model.due_at)).limit(bell.room)
    ids = list(session.exec(due.with_for_update(skip_locked=True, key_share=True)))
    if ids:
        session.exec(update(model).where(col(model.id).in_(ids)).values(enqueued_at=now))
    return ids
