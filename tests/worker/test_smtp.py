"""How notifications are handed to the mail server: retries, final refusals, crashes, TLS and the login."""

import ssl
import subprocess
from pathlib import Path

import pytest

from shared.db.times import utc_now
from shared.notifications.models import Notification, NotificationStatus
from tests.api.administration import Operator
from tests.mail import MailServer, mail_server
from tests.servers import closed_port
from tests.worker.notifications import ended_job, notification_statuses, only_notification, smtp_settings
from tests.worker.support import step_killed_before_record
from tests.world import Person, Sandbox, step, work
from worker.email import send


def test_a_temporary_refusal_is_retried_on_the_schedule(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    ended_job(operator, alice, sandbox)
    mail.refusals = ["451 4.7.1 Greylisted"]
    step(Notification, only_notification().id)
    notification = only_notification()
    assert (notification.status, notification.attempts, notification.failure_reason) == (
        NotificationStatus.PENDING,
        1,
        "451 4.7.1 Greylisted",
    )
    assert notification.due_at
    assert 20 < (notification.due_at - utc_now()).total_seconds() <= 60
    step(Notification, notification.id)
    assert notification_statuses() == [(NotificationStatus.SENT, 2, None)]
    assert len(mail.taken) == 1


def test_a_permanent_refusal_is_not_retried(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    ended_job(operator, alice, sandbox)
    mail.refusals = ["550 5.1.1 No such user"]
    work(2)
    assert notification_statuses() == [(NotificationStatus.FAILED, 1, "550 5.1.1 No such user")]
    sent = operator.http.get(f"/projects/{alice.project_id}/email_notifications/sent").json()["data"]
    assert [(each["status"], each["failure_reason"]) for each in sent] == [("failed", "550 5.1.1 No such user")]


def test_a_notification_fails_when_the_mail_server_stays_unreachable_for_the_whole_schedule(
    operator: Operator, alice: Person, sandbox: Sandbox, clean: str
) -> None:
    with smtp_settings(closed_port(), TUNERY_SMTP__SCHEDULE="[60]"):
        ended_job(operator, alice, sandbox)
        step(Notification, only_notification().id)
        assert only_notification().status is NotificationStatus.PENDING
        step(Notification, only_notification().id)
    notification = only_notification()
    assert (notification.status, notification.attempts, notification.due_at) == (NotificationStatus.FAILED, 2, None)
    assert "ConnectionRefusedError" in (notification.failure_reason or "")


def test_a_worker_that_dies_after_sending_sends_the_same_message_again(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    ended_job(operator, alice, sandbox)
    step_killed_before_record(send.send, only_notification().id)
    work()
    first, second = (message["Message-ID"] for _, message in mail.taken)
    assert first == second == f"<{only_notification().id}@example.com>"
    assert only_notification().status is NotificationStatus.SENT


def test_one_task_sends_everything_that_is_due(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    recipients = [f"a{number}@example.com" for number in range(7)]
    ended_job(operator, alice, sandbox, recipients=recipients)
    send.send_due()
    assert sorted(to for to, _ in mail.taken) == recipients


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = subprocess.run([*command, *names, "-out", files[0], "-keyout", files[1]], capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode()
    return files


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_the_password_is_sent_only_over_tls_and_only_to_a_server_with_a_trusted_certificate(
    operator: Operator,
    alice: Person,
    sandbox: Sandbox,
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login = {"TUNERY_SMTP__USER": "tunery", "TUNERY_SMTP__PASSWORD": "right", "TUNERY_SMTP__SECURITY": "starttls"}
    with (
        mail_server(tls_context=tls, require_starttls=True) as server,
        smtp_settings(server.port, **login),
    ):
        ended_job(operator, alice, sandbox)
        step(Notification, only_notification().id)
        assert "CERTIFICATE_VERIFY_FAILED" in (only_notification().failure_reason or "")
        assert server.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        step(Notification, only_notification().id)
        assert (server.logins, len(server.taken)) == ([(b"tunery", b"right")], 1)


def test_a_wrong_password_is_retried_and_never_shown(
    operator: Operator, alice: Person, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    login = {"TUNERY_SMTP__USER": "tunery", "TUNERY_SMTP__PASSWORD": "wr0ng-secret"}
    with mail_server(auth_require_tls=False) as server, smtp_settings(server.port, **login):
        ended_job(operator, alice, sandbox)
        step(Notification, only_notification().id)
    notification = only_notification()
    assert (notification.status, notification.attempts) == (NotificationStatus.PENDING, 1)
    assert (notification.failure_reason or "").startswith("535")
    assert "wr0ng-secret" not in f"{notification!r}{capsys.readouterr()}"
