"""Notices: who gets an e-mail, written down in the transaction in which it happened; the worker sends it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.db.batches import delete_batch
from shared.db.claims import make_due, release
from shared.db.owned import list_owned
from shared.db.times import utc_now
from shared.notifications.models import Notification, NotificationRecipients, NotificationStatus
from shared.notifications.schemas import NotificationRecipientsUpdate
from shared.projects import service as projects
from shared.settings import get_settings
from shared.webhooks.event_types import EventType


def list_of(session: Session, project_id: str) -> NotificationRecipients | None:
    projects.get_project(session, project_id)
    return session.exec(
        select(NotificationRecipients).where(NotificationRecipients.project_id == project_id)
    ).one_or_none()


def set_list(session: Session, project_id: str, new: NotificationRecipientsUpdate) -> NotificationRecipients:
    """Who is told from now on; those named before are not, unless they are named again."""
    projects.get_project(session, project_id)
    values: dict[str, Any] = {"recipients": _once(new.recipients), "event_types": sorted(set(new.event_types))}
    row = NotificationRecipients(project_id=project_id, **values)
    added = insert(NotificationRecipients).values(**row.model_dump())
    session.exec(added.on_conflict_do_update(index_elements=["project_id"], set_=values))
    return session.exec(select(NotificationRecipients).where(NotificationRecipients.project_id == project_id)).one()


def delete_list(session: Session, project_id: str) -> None:
    projects.get_project(session, project_id)
    session.exec(delete(NotificationRecipients).where(col(NotificationRecipients.project_id) == project_id))


def _once(recipients: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(recipients))


def list_notifications(session: Session, project_id: str, *, after: str | None, limit: int) -> list[Notification]:
    """One more than `limit`, newest first."""
    projects.get_project(session, project_id)
    return list_owned(session, Notification, project_id, after=after, limit=limit)


def tell(session: Session, project_id: str, type: EventType, data: dict[str, Any]) -> None:
    """An e-mail for each address of the project that is to be told of this. `data` has an `id`."""
    if get_settings().smtp.host is None:
        return
    wanted = NotificationRecipients.project_id == project_id, col(NotificationRecipients.event_types).contains([type])
    named = session.exec(select(NotificationRecipients.recipients).where(*wanted)).one_or_none()
    send(session, project_id, type, data, named or [])


def send(
    session: Session,
    project_id: str,
    type: EventType,
    data: dict[str, Any],
    recipients: Sequence[str],
    subject_prefix: str | None = None,
) -> None:
    """An e-mail for each of these, unless the installation sends none."""
    if get_settings().smtp.host is None:
        return
    for recipient in _once(recipients):
        make_due(
            session,
            Notification(
                project_id=project_id, type=type, recipient=recipient, data=data, subject_prefix=subject_prefix
            ),
        )


def finish(notice: Notification, why_failed: str | None) -> None:
    """End a notice; None if the mail server has taken it."""
    notice.status = NotificationStatus.SENT if why_failed is None else NotificationStatus.FAILED
    notice.failure_reason, notice.finished_at = why_failed, utc_now()
    release(notice, None)


def forget(session: Session, before: datetime) -> int:
    """Remove some that ended before; how many."""
    return delete_batch(session, Notification, col(Notification.finished_at) < before)
