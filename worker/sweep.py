"""Ring for every row that is due and was not rung lately: the promise behind a doorbell that may fail."""

from collections.abc import Collection

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from shared.database import transaction
from shared.datasets.models import Dataset, ProviderFile, Upload
from shared.jobs.models import Job, TunedModel
from shared.projects.models import Credential
from shared.queue import enqueue
from shared.settings import get_settings
from shared.tables import DueTable, OwnedDue, utc_now
from shared.webhooks.models import WebhookDelivery, WebhookRecovery

AT_ONCE = 500
DUE: tuple[type[DueTable] | type[OwnedDue], ...] = (
    Job,
    WebhookDelivery,
    WebhookRecovery,
    ProviderFile,
    Dataset,
    Upload,
    TunedModel,
    Credential,
)


def sweep() -> int:
    """One round over all kinds of rows; how many messages were sent. Several at once share the rows out."""
    rung = 0
    for model in DUE:
        with transaction() as session:
            rows = _take(session, model)
        for id in dict.fromkeys(rows.values()):
            if not enqueue(model.task, id):
                _put_back(model, rows)
                return rung
            rung += 1
    return rung


def _put_back(model: type[DueTable] | type[OwnedDue], ids: Collection[str]) -> None:
    """The doorbell is down: these have not been rung, and the next sweep shall not think so."""
    with transaction() as session:
        session.exec(update(model).where(col(model.id).in_(ids)).values(rung_at=None))


def _take(session: Session, model: type[DueTable] | type[OwnedDue]) -> dict[str, str]:
    """Due rows, the longest waiting first, marked as rung now; and what to ring for each."""
    now = utc_now()
    not_lately = or_(
        col(model.rung_at).is_(None),
        col(model.rung_at) < col(model.due_at),
        col(model.rung_at) < now - get_settings().ring_again_after,
    )
    due = select(model.id, getattr(model, model.ring_column)).where(col(model.due_at) <= now, not_lately)
    first = due.order_by(col(model.due_at)).limit(AT_ONCE).with_for_update(skip_locked=True, key_share=True)
    rows = dict(session.exec(first).all())
    if rows:
        session.exec(update(model).where(col(model.id).in_(rows)).values(rung_at=now))
    return rows
