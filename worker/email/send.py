"""One attempt at a notice: hand the e-mail to the mail server, write down what it said."""

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
from worker.email.messages import Letter, letter
from worker.runtime.errors import StepError
from worker.runtime.steps import Step, after, log, run_one

LINES = 4  # at once, so that a mail server that hangs leaves the webhooks their threads
AT_ONE_GO = 10.0  # seconds, since a worker may have to stop
REASON_LENGTH = 500
UNFOLDED = 400  # a subject stays one line: SMTP takes 998 characters, and to fold one can add a space to it

_lines = threading.BoundedSemaphore(LINES)


@dataclass(frozen=True)
class Plan:
    notice: Notification
    letter: Letter


@dataclass(frozen=True)
class Refused:
    """The mail server's words, or why it could not be asked. One that is final is not asked again."""

    reason: str
    is_final: bool


def send_due() -> None:
    """Send what is due, the oldest first. Who finds no line free leaves it to those on one."""
    if not _lines.acquire(blocking=False):
        return
    try:
        stop_at = time.monotonic() + AT_ONE_GO
        while time.monotonic() < stop_at and run_one(send, col(Notification.due_at).is_not(None)):
            pass
    finally:
        _lines.release()


def _plan(session: Session, notice: Notification) -> Plan | None:
    if get_settings().smtp.host is None:
        notifications.finish(notice, "The installation sends no e-mail any more")
        return None
    return Plan(notice, letter(session, notice))


def _call(plan: Plan) -> Refused | None:
    try:
        with _connected() as server:
            server.send_message(_message(plan))
    except smtplib.SMTPRecipientsRefused as error:
        [(code, said)] = error.recipients.values()
        return _refused(code, said)
    except smtplib.SMTPAuthenticationError as error:  # the operator's to mend, meanwhile
        return Refused(_said(error.smtp_code, error.smtp_error), is_final=False)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:
        return Refused(f"{type(error).__name__}: {error}"[:REASON_LENGTH], is_final=False)
    return None


def _refused(code: int, said: bytes | str) -> Refused:
    return Refused(_said(code, said), is_final=500 <= code < 600)


def _said(code: int, said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {text}".replace("\0", "")[:REASON_LENGTH]


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
        with suppress(OSError):  # whatever is said at parting, what was taken was taken
            server.quit()
        server.close()


def _message(plan: Plan) -> EmailMessage:
    """Its id is the notice's at every attempt, so that a mailbox can tell a repeat."""
    sender = get_settings().smtp.sender
    message = EmailMessage(policy=SMTP.clone(max_line_length=UNFOLDED, cte_type="7bit"))
    message["From"], message["To"], message["Subject"] = sender, plan.notice.recipient, plan.letter.subject
    message["Date"] = format_datetime(plan.notice.created_at)
    message["Message-ID"] = f"<{plan.notice.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plan.letter.text)
    return message


def _record(_: Session, notice: Notification, plan: Plan, answer: Refused | StepError | None) -> None:
    if isinstance(answer, StepError):
        raise answer  # `_call` turns every failure of the mail server into `Refused`
    notice.attempts += 1
    schedule = get_settings().smtp.schedule
    if answer is None:
        log.info("notice sent", row=notice.id, type=notice.type)
        notifications.finish(notice, None)
        return
    is_over = answer.is_final or notice.attempts > len(schedule)
    log.warning(
        "a notice was not taken", row=notice.id, attempts=notice.attempts, reason=answer.reason, given_up=is_over
    )
    if is_over:
        notifications.finish(notice, answer.reason)
    else:
        notice.failure_reason = answer.reason
        release(notice, after(schedule[notice.attempts - 1]))


def _give_up(_: Session, notice: Notification) -> None:
    notifications.finish(notice, "It could not be written on our side")


send = Step(Notification, _plan, _call, _record, _give_up)
