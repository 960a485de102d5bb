"""Who gets e-mail about a project's events, and what was sent."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.db.batches import delete_batch
from shared.db.claims import release
from shared.db.owned import list_owned
from shared.db.times import utc_now
from shared.notifications.models import Notification, NotificationRecipients, NotificationStatus
from shared.notifications.schemas import NotificationRecipientsUpdate
from shared.projects import service as projects


def get_recipients(session: Session, project_id: str) -> NotificationRecipients | None:
    projects.get_project(session, project_id)
    return session.exec(
        select(NotificationRecipients).where(NotificationRecipients.project_id == project_id)
    ).one_or_none()


def set_recipients(session: Session, project_id: str, new: NotificationRecipientsUpdate) -> NotificationRecipients:
    """Replaces the addresses and event types."""
    projects.get_project(session, project_id)
    values: dict[str, Any] = {
        "recipients": list(dict.fromkeys(new.recipients)),
        "event_types": sorted(set(new.event_types)),
    }
    row = NotificationRecipients(project_id=project_id, **values)
    added = insert(NotificationRecipients).values(**row.model_dump())
    session.exec(added.on_conflict_do_update(index_elements=["project_id"], set_=values))
    return session.exec(select(NotificationRecipients).where(NotificationRecipients.project_id == project_id)).one()


def delete_recipients(session: Session, project_id: str) -> None:
    projects.get_project(session, project_id)
    session.exec(delete(NotificationRecipients).where(col(NotificationRecipients.project_id) == project_id))


def list_notifications(session: Session, project_id: str, *, after: str | None, limit: int) -> list[Notification]:
    """Up to `limit` + 1 of them, newest first: the one more tells that there is another page."""
    projects.get_project(session, project_id)
    return list_owned(session, Notification, project_id, after=after, limit=limit)


def finish(notification: Notification, failure_reason: str | None) -> None:
    """Ends a notification; without a reason, because the mail server has accepted it."""
    notification.status = NotificationStatus.SENT if failure_reason is None else NotificationStatus.FAILED
    notification.failure_reason, notification.finished_at = failure_reason, utc_now()
    release(notification, None)


def forget(session: Session, before: datetime) -> int:
    """Deletes one batch of those that ended before `before`, and returns how many."""
    return delete_batch(session, Notification, col(Notification.finished_at) < before)
