"""Records what happened to a project, and notifies it on both channels: webhooks and e-mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from shared.db.claims import make_due
from shared.notifications.models import Notification, NotificationRecipients
from shared.settings import get_settings
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookEvent


@dataclass(frozen=True)
class Recipients:
    """E-mail addresses of one event. `subject_prefix` is put before the subject."""

    addresses: Sequence[str]
    subject_prefix: str | None = None


def emit(
    session: Session, project_id: str, type: EventType, data: dict[str, Any], email_to: Recipients | None = None
) -> WebhookEvent | None:
    """Writes the event, its webhook deliveries and its e-mails in the caller's transaction; the worker sends them.

    `data` is the object that the event is about, as the API shows it, with its `id`. `email_to` replaces the addresses
    that the project has set for events of this type.
    """
    event = webhooks.write_event(session, project_id, type, data)
    if get_settings().smtp.host is not None:
        recipients = email_to or _recipients(session, project_id, type)
        for address in dict.fromkeys(recipients.addresses):
            notification = Notification(
                project_id=project_id,
                type=type,
                recipient=address,
                data=data,
                subject_prefix=recipients.subject_prefix,
            )
            make_due(session, notification)
    return event


def _recipients(session: Session, project_id: str, type: EventType) -> Recipients:
    wants_it = NotificationRecipients.project_id == project_id, col(NotificationRecipients.event_types).contains([type])
    addresses = session.exec(select(NotificationRecipients.recipients).where(*wants_it)).one_or_none()
    return Recipients(addresses or ())
