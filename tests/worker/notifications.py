"""Jobs whose end is notified by e-mail, and what became of each notification."""

from typing import Any

from shared.jobs.models import Job
from shared.notifications.models import Notification, NotificationStatus
from tests.api.administration import Operator, counted_file
from tests.worker.support import ids, running_job, settings
from tests.world import Person, Sandbox, row, step


def smtp_settings(port: int, **more: str) -> Any:
    return settings(
        TUNERY_SMTP__HOST="127.0.0.1",
        TUNERY_SMTP__PORT=str(port),
        TUNERY_SMTP__SENDER="tunery@example.com",
        **{"TUNERY_SMTP__SECURITY": "plain", **more},
    )


def ended_job(operator: Operator, person: Person, sandbox: Sandbox, status: str = "succeeded", **options: Any) -> str:
    """Ends a job of a project that notifies these recipients; its id."""
    operator.post(person, "email_notifications", **{"recipients": ["alice@example.com"], **options})
    job_id, theirs = running_job(person, sandbox, training_file=counted_file(person))
    sandbox.move(theirs, status=status)
    step(Job, job_id)
    return job_id


def only_notification() -> Notification:
    [id] = ids(Notification)
    notification: Notification = row(Notification, id)
    return notification


def notification_statuses() -> list[tuple[NotificationStatus, int, str | None]]:
    found = [row(Notification, id) for id in ids(Notification)]
    return [(notification.status, notification.attempts, notification.failure_reason) for notification in found]
