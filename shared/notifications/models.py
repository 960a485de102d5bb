"""The addresses that get e-mail about a project's events, and each e-mail with its outcome."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint

from shared.broker.queue import Task
from shared.db.columns import EnumField, JSONField, TimeField
from shared.db.tables import Owned, OwnedDue


class NotificationRecipients(Owned, table=True):
    """The addresses of a project that get e-mail, and the types of event they get it for."""

    __tablename__ = "notification_recipients"
    __table_args__ = (UniqueConstraint("project_id"),)
    id_prefix: ClassVar[str] = "nlist_"
    called: ClassVar[str] = "list of addresses for notifications"

    recipients: list[str] = JSONField(default_factory=list)
    event_types: list[str] = JSONField(default_factory=list)


class NotificationStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class Notification(OwnedDue, table=True):
    """One e-mail to one address; `data` is the object that the event is about.

    `attempts` counts the attempts so far. `failure_reason` is the mail server's last answer, if it was a refusal.
    """

    __tablename__ = "notifications"
    __table_args__ = (Index(None, "project_id", "id"),)
    id_prefix: ClassVar[str] = "notification_"
    called: ClassVar[str] = "notification"
    task: ClassVar[Task] = Task.SEND_NOTIFICATION

    type: str
    recipient: str
    subject_prefix: str | None = None
    data: dict[str, Any] = JSONField(default_factory=dict)
    status: NotificationStatus = EnumField(NotificationStatus, default=NotificationStatus.PENDING)
    failure_reason: str | None = None
    attempts: int = 0
    finished_at: datetime | None = TimeField(default=None)
