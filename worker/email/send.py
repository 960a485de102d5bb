"""Sends notifications: hands each e-mail to the mail server and records the answer."""

import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from sqlmodel import Session, col

from shared.db.claims import release
from shared.notifications import service as notifications
from shared.notifications.models import Notification
from shared.settings import get_settings
from worker.email.messages import Message, write_message
from worker.runtime.errors import StepError
from worker.runtime.steps import Step, after, log, run_one

MAX_CONNECTIONS_PER_PROCESS = 4  # so that a mail server that hangs leaves the webhooks their threads
MAX_SECONDS_PER_TASK = 10.0  # a worker that is asked to stop waits for its tasks
MAX_REASON_CHARS = 500
MAX_LINE_CHARS = 400  # below SMTP's 998, and long enough that no subject is folded, which could add a space to it

_connections = threading.BoundedSemaphore(MAX_CONNECTIONS_PER_PROCESS)


@dataclass(frozen=True)
class Plan:
    notification: Notification
    message: Message


@dataclass(frozen=True)
class Refusal:
    """The mail server's words, or why it was not reached. After a final one there is no further attempt."""

    reason: str
    is_final: bool


def send_due() -> None:
    """Sends due notifications, the oldest first. Returns when all connections are in use: their tasks send the rest."""
    if not _connections.acquire(blocking=False):
        return
    try:
        stop_at = time.monotonic() + MAX_SECONDS_PER_TASK
        while time.monotonic() < stop_at and run_one(send, col(Notification.due_at).is_not(None)):
            pass
    finally:
        _connections.release()


def _plan(session: Session, notification: Notification) -> Plan | None:
    if get_settings().smtp.host is None:
        notifications.finish(notification, "The installation sends no e-mail any more")
        return None
    return Plan(notification, write_message(session, notification))


def _call(plan: Plan) -> Refusal | None:
    try:
        with _connected() as server:
            server.send_message(_email(plan))
    except smtplib.SMTPRecipientsRefused as error:
        [(code, said)] = error.recipients.values()
        return _refusal(code, said)
    except smtplib.SMTPAuthenticationError as error:  # never final: the operator may correct the password
        return Refusal(_said(error.smtp_code, error.smtp_error), is_final=False)
    except smtplib.SMTPResponseException as error:
        return _refusal(error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        return Refusal(f"{type(error).__name__}: {error}"[:MAX_REASON_CHARS], is_final=False)
    return None


def _refusal(code: int, said: bytes | str) -> Refusal:
    return Refusal(_said(code, said), is_final=500 <= code < 600)


def _said(code: int, said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {text}".replace("\0", "")[:MAX_REASON_CHARS]


@contextmanager
def _connected() -> Iterator[smtplib.SMTP]:
    settings = get_settings().smtp
    host, seconds = settings.host or "", settings.timeout.total_seconds()
    if settings.security == "ssl":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, settings.port, timeout=seconds, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(host, settings.port, timeout=seconds)
    try:
        if settings.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if settings.user is not None and settings.password is not None:
            server.login(settings.user, settings.password.get_secret_value())
        yield server
    finally:
        with suppress(OSError):  # an error after the message was accepted does not undo that
            server.quit()
        server.close()


def _email(plan: Plan) -> EmailMessage:
    """The Message-ID is the same at every attempt, so that a mailbox recognises a repeated message."""
    sender = get_settings().smtp.sender
    email = EmailMessage(policy=SMTP.clone(max_line_length=MAX_LINE_CHARS, cte_type="7bit"))
    email["From"], email["To"], email["Subject"] = sender, plan.notification.recipient, plan.message.subject
    email["Date"] = format_datetime(plan.notification.created_at)
    email["Message-ID"] = f"<{plan.notification.id}@{sender.rpartition('@')[2]}>"
    email["Auto-Submitted"] = "auto-generated"
    email.set_content(plan.message.body)
    return email


def _record(_: Session, notification: Notification, plan: Plan, answer: Refusal | StepError | None) -> None:
    if isinstance(answer, StepError):
        raise answer  # `_call` turns every failure of the mail server into a `Refusal`
    notification.attempts += 1
    schedule = get_settings().smtp.schedule
    if answer is None:
        log.info("notification sent", row=notification.id, type=notification.type)
        notifications.finish(notification, None)
        return
    is_given_up = answer.is_final or notification.attempts > len(schedule)
    log.warning(
        "the mail server refused a notification",
        row=notification.id,
        attempts=notification.attempts,
        reason=answer.reason,
        given_up=is_given_up,
    )
    if is_given_up:
        notifications.finish(notification, answer.reason)
    else:
        notification.failure_reason = answer.reason
        release(notification, after(schedule[notification.attempts - 1]))


def _give_up(_: Session, notification: Notification) -> None:
    notifications.finish(notification, "It could not be written on our side")


send = Step(Notification, _plan, _call, _record, _give_up)
