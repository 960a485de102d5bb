"""E-mail notifications as the administration API shows them."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.db.pages import Listed
from shared.db.times import epoch
from shared.notifications.models import Notification, NotificationRecipients, NotificationStatus
from shared.settings import get_settings
from shared.webhooks.event_types import EventType

_ADDRESS = r"^[!#-'*+\-./0-9=?A-Z^_a-z{|}~]{1,64}@[A-Za-z0-9.-]{1,253}$"


def _address(text: str) -> str:
    if not re.fullmatch(_ADDRESS, text):
        raise ValueError("Write each address as name@example.com")
    return text


Address = Annotated[str, Field(max_length=254, json_schema_extra={"pattern": _ADDRESS}), AfterValidator(_address)]
Addresses = Annotated[list[Address], Field(min_length=1, max_length=20)]
NotificationType = Literal[
    EventType.JOB_SUCCEEDED,
    EventType.JOB_FAILED,
    EventType.JOB_CANCELLED,
    EventType.JOB_APPROVAL_REQUIRED,
    EventType.BUDGET_THRESHOLD_REACHED,
    EventType.MODEL_SHUTDOWN_SCHEDULED,
]
JOB_ENDS: tuple[NotificationType, ...] = (EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELLED)


class NotificationRecipientsUpdate(BaseModel):
    """Who gets e-mail and about which events; about the ends of jobs, if no types are given."""

    model_config = ConfigDict(extra="forbid")

    recipients: Addresses
    event_types: Annotated[list[NotificationType], Field(min_length=1)] = list(JOB_ENDS)


class NotificationRecipientsPublic(BaseModel):
    """`enabled` is false when the installation sends no e-mail, because its operator has configured no mail server."""

    object: Literal["project.email_notifications"] = "project.email_notifications"
    enabled: bool
    recipients: list[str]
    event_types: list[str]

    @classmethod
    def of(cls, row: NotificationRecipients | None) -> "NotificationRecipientsPublic":
        return cls(
            enabled=get_settings().smtp.host is not None,
            recipients=row.recipients if row else [],
            event_types=row.event_types if row else [],
        )


class NotificationRecipientsDeleted(BaseModel):
    object: Literal["project.email_notifications.deleted"] = "project.email_notifications.deleted"
    deleted: Literal[True] = True


class NotificationPublic(Listed):
    """One e-mail to one address. `failure_reason` is the mail server's last answer, if it was a refusal."""

    object: Literal["project.email_notification"] = "project.email_notification"
    created_at: int
    type: str
    recipient: str
    about: str
    status: NotificationStatus
    attempts: int
    next_attempt_at: int | None
    finished_at: int | None
    failure_reason: str | None

    @classmethod
    def of(cls, row: Notification) -> "NotificationPublic":
        return cls(
            id=row.id,
            created_at=epoch(row.created_at),
            type=row.type,
            recipient=row.recipient,
            about=row.data["id"],
            status=row.status,
            attempts=row.attempts,
            next_attempt_at=epoch(row.due_at) if row.due_at else None,
            finished_at=epoch(row.finished_at) if row.finished_at else None,
            failure_reason=row.failure_reason,
        )
