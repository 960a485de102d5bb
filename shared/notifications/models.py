"""Whom to tell by e-mail, what was told, and how sending it went."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint

from shared.broker.queue import Task
from shared.db.columns import EnumField, JSONField, TimeField
from shared.db.tables import Owned, OwnedDue


class NotificationRecipients(Owned, table=True):
    """The addresses of a project that are told of its events, and of which."""

    __tablename__ = "notification_recipients"
    __table_args__ = (UniqueConstraint("project_id"),)
    id_prefix: ClassVar[str] = "nlist_"
    called: ClassVar[str] = "list of addresses for notices"

    recipients: list[str] = JSONField(default_factory=list)
    event_types: list[str] = JSONField(default_factory=list)


class NotificationStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class Notification(OwnedDue, table=True):
    """One e-mail to one address. Its step sends it; `data` is the object that it is about.

    `attempts` counts what was tried, `failure_reason` is the mail server's last word.
    """

    __tablename__ = "notifications"
    __table_args__ = (Index(None, "project_id", "id"),)
    id_prefix: ClassVar[str] = "notice_"
    called: ClassVar[str] = "notice"
    task: ClassVar[Task] = Task.SEND_NOTIFICATION

    type: str
    recipient: str
    subject_prefix: str | None = None
    data: dict[str, Any] = JSONField(default_factory=dict)
    status: NotificationStatus = EnumField(NotificationStatus, default=NotificationStatus.PENDING)
    failure_reason: str | None = None
    attempts: int = 0
    finished_at: datetime | None = TimeField(default=None)
