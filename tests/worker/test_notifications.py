"""A notification's way to a mail server."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.notifications.models import Notification, NotificationStatus
from shared.projects.models import Project
from tests.api.administration import Operator, counted_file
from tests.mail import MailServer, mail_server
from tests.servers import free_port
from tests.worker.levers import change, ids, running_job, settings, step_and_die
from tests.world import Person, Sandbox, row, step, work
from worker.email import send


@pytest.fixture
def mail(clean: str) -> Iterator[MailServer]:
    """A mail server that takes what it is given."""
    with mail_server() as server, sending_to(server.port):
        yield server


def sending_to(port: int, **more: str) -> Any:
    return settings(
        TUNERY_SMTP__HOST="127.0.0.1",
        TUNERY_SMTP__PORT=str(port),
        TUNERY_SMTP__SENDER="tunery@example.com",
        **{"TUNERY_SMTP__SECURITY": "plain", **more},
    )


def ended_job(operator: Operator, person: Person, sandbox: Sandbox, status: str = "succeeded", **list: Any) -> str:
    """A job that has just ended, and addresses that are told of it."""
    operator.post(person, "email_notifications", **{"recipients": ["alice@example.com"], **list})
    job_id, theirs = running_job(person, sandbox, training_file=counted_file(person))
    sandbox.move(theirs, status=status)
    step(Job, job_id)
    return job_id


def the_notification() -> Notification:
    [id] = ids(Notification)
    notification: Notification = row(Notification, id)
    return notification


def test_the_end_of_a_job_is_sent_with_the_facts_about_it(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    job_id = ended_job(operator, alice, sandbox, recipients=["alice@example.com", "bob@example.com"])
    work()
    assert [to for to, _ in mail.taken] == ["alice@example.com", "bob@example.com"]
    _, message = mail.taken[0]
    assert (message["From"], message["To"]) == ("tunery@example.com", "alice@example.com")
    assert message["Subject"] == f"Fine-tuning job {job_id} has succeeded"
    assert message.get_content_type() == "text/plain"
    job = alice.http.get(f"/fine_tuning/jobs/{job_id}").json()
    point = alice.http.get(f"/fine_tuning/jobs/{job_id}/metrics").json()["points"][-1]
    text = mail.texts[0]
    for said in (
        "of the project alice's team has succeeded.",
        f"Tuned model:        {job['fine_tuned_model']}\n",
        f"Cost:               {job['cost']['amount'].rstrip('0')} USD, {job['cost']['tokens']:,} tokens\n",
        f"Last losses:        training {point['train_loss']:g}",
        f"(step {point['step']})",
        "Duration:           ",
        f"GET /v1/fine_tuning/jobs/{job_id}\n",
    ):
        assert said in text
    assert the_statuses() == [(NotificationStatus.SENT, 1, None)] * 2


def the_statuses() -> list[tuple[NotificationStatus, int, str | None]]:
    found = [row(Notification, id) for id in ids(Notification)]
    return [(notification.status, notification.attempts, notification.failure_reason) for notification in found]


def test_a_failed_jobs_notification_has_the_reason_and_no_cost(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    job_id = ended_job(operator, alice, sandbox, "failed")
    work()
    [text] = mail.texts
    error = row(Job, job_id).error
    assert f"Reason:             {error['message']} ({error['code']})\n" in text
    assert "\nCost:" not in text


def test_only_the_chosen_events_are_sent_and_only_to_the_projects_own_addresses(
    operator: Operator, alice: Person, bob: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    operator.post(bob, "email_notifications", recipients=["bob@example.com"])
    ended_job(operator, alice, sandbox, "cancelled", event_types=["fine_tuning.job.failed"])
    assert ids(Notification) == []


def test_without_a_mail_server_nothing_is_written(operator: Operator, alice: Person, sandbox: Sandbox) -> None:
    assert operator.http.get(f"/projects/{alice.project_id}/email_notifications").json() == {
        "object": "project.email_notifications",
        "enabled": False,
        "recipients": [],
        "event_types": [],
    }
    ended_job(operator, alice, sandbox)
    assert ids(Notification) == []


def test_a_server_that_says_try_later_is_tried_on_the_schedule(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    ended_job(operator, alice, sandbox)
    mail.refusals = ["451 4.7.1 Greylisted"]
    step(Notification, the_notification().id)
    notification = the_notification()
    assert (notification.status, notification.attempts, notification.failure_reason) == (
        NotificationStatus.PENDING,
        1,
        "451 4.7.1 Greylisted",
    )
    assert notification.due_at
    assert 50 < (notification.due_at - utc_now()).total_seconds() <= 60
    step(Notification, notification.id)
    assert the_statuses() == [(NotificationStatus.SENT, 2, None)]
    assert len(mail.taken) == 1


def test_an_address_that_is_refused_is_not_tried_again(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    ended_job(operator, alice, sandbox)
    mail.refusals = ["550 5.1.1 No such user"]
    work(2)
    assert the_statuses() == [(NotificationStatus.FAILED, 1, "550 5.1.1 No such user")]
    sent = operator.http.get(f"/projects/{alice.project_id}/email_notifications/sent").json()["data"]
    assert [(each["status"], each["failure_reason"]) for each in sent] == [("failed", "550 5.1.1 No such user")]


def test_a_mail_server_that_cannot_be_reached_is_given_up_after_the_schedule(
    operator: Operator, alice: Person, sandbox: Sandbox, clean: str
) -> None:
    with sending_to(free_port(), TUNERY_SMTP__SCHEDULE="[60]"):
        ended_job(operator, alice, sandbox)
        step(Notification, the_notification().id)
        assert the_notification().status is NotificationStatus.PENDING
        step(Notification, the_notification().id)
    notification = the_notification()
    assert (notification.status, notification.attempts, notification.due_at) == (NotificationStatus.FAILED, 2, None)
    assert "ConnectionRefusedError" in (notification.failure_reason or "")


def test_a_worker_that_dies_after_sending_sends_the_same_message_again(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    ended_job(operator, alice, sandbox)
    step_and_die(send.send, the_notification().id)
    work()
    first, second = (message["Message-ID"] for _, message in mail.taken)
    assert first == second == f"<{the_notification().id}@example.com>"
    assert the_notification().status is NotificationStatus.SENT


def test_one_task_sends_everything_that_is_due(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    recipients = [f"a{number}@example.com" for number in range(7)]
    ended_job(operator, alice, sandbox, recipients=recipients)
    send.send_due()
    assert sorted(to for to, _ in mail.taken) == recipients


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
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


def test_a_login_goes_over_tls_alone_to_a_server_whose_certificate_is_trusted(
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
        sending_to(server.port, **login),
    ):
        ended_job(operator, alice, sandbox)
        step(Notification, the_notification().id)
        assert "CERTIFICATE_VERIFY_FAILED" in (the_notification().failure_reason or "")
        assert server.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        step(Notification, the_notification().id)
        assert (server.logins, len(server.taken)) == ([(b"tunery", b"right")], 1)


def test_a_wrong_password_is_tried_again_and_never_shown(
    operator: Operator, alice: Person, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    login = {"TUNERY_SMTP__USER": "tunery", "TUNERY_SMTP__PASSWORD": "wr0ng-secret"}
    with mail_server(auth_require_tls=False) as server, sending_to(server.port, **login):
        ended_job(operator, alice, sandbox)
        step(Notification, the_notification().id)
    notification = the_notification()
    assert (notification.status, notification.attempts) == (NotificationStatus.PENDING, 1)
    assert (notification.failure_reason or "").startswith("535")
    assert "wr0ng-secret" not in f"{notification!r}{capsys.readouterr()}"


def test_a_threshold_and_an_approval_are_sent_by_e_mail(operator: Operator, alice: Person, mail: MailServer) -> None:
    types = ["budget.threshold_reached", "fine_tuning.job.approval_required"]
    operator.post(alice, "email_notifications", recipients=["alice@example.com"], event_types=types)
    operator.post(
        alice,
        "spend_alerts",
        currency="USD",
        interval="month",
        threshold_amount=300,
        notification_channel={"type": "email", "recipients": ["cfo@example.com"], "subject_prefix": "[money]"},
    )
    operator.limit(alice, 500, alert_percentages=[80])
    operator.post(alice, "ledger", amount="4.20", currency="USD", reason="The bill")
    operator.post(alice, "approval_limit", currency="USD", threshold_amount=0)
    job_id = alice.create_job(training_file=counted_file(alice))
    work(2)
    by_address = {(to, message["Subject"]): index for index, (to, message) in enumerate(mail.taken)}
    month = f"{utc_now():%Y-%m}"
    limit = mail.texts[by_address["alice@example.com", f"alice's team has reached 4.00 USD in {month}"]]
    assert "has reached 4.00 USD, 80 % of the limit." in limit
    assert "Together:           4.20 USD\n" in limit
    own = mail.texts[by_address["cfo@example.com", f"[money] alice's team has reached 3.00 USD in {month}"]]
    assert "Limit:              5.00 USD\n" in own
    approval = mail.texts[by_address["alice@example.com", f"Fine-tuning job {job_id} waits for an approval"]]
    assert f"POST /v1/organization/projects/{alice.project_id}/jobs/{job_id}/approve\n" in approval


def test_what_the_caller_wrote_cannot_add_a_header_or_a_line_to_the_table(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    job_id = ended_job(operator, alice, sandbox, "failed")
    change(Job, job_id, error={"code": "x", "message": "one\nCost: 0 USD\r\nBcc: b@example.com", "param": None})
    work()
    [(to, message)] = mail.taken
    assert (to, message["Bcc"]) == ("alice@example.com", None)
    assert "Reason:             one Cost: 0 USD Bcc: b@example.com (x)\n" in mail.texts[0]


def test_a_name_that_is_not_ascii_arrives_as_it_is(
    operator: Operator, alice: Person, sandbox: Sandbox, mail: MailServer
) -> None:
    change(Project, alice.project_id, name="Zoë’s Überteam")
    ended_job(operator, alice, sandbox)
    work()
    assert "of the project Zoë’s Überteam has succeeded." in mail.texts[0]


def test_the_addresses_of_a_project_are_shown_changed_and_removed(operator: Operator, alice: Person) -> None:
    path = f"/projects/{alice.project_id}/email_notifications"
    made = operator.post(alice, "email_notifications", recipients=["b@example.com", "b@example.com", "a@example.com"])
    assert made["recipients"] == ["b@example.com", "a@example.com"]
    ends = ["fine_tuning.job.cancelled", "fine_tuning.job.failed", "fine_tuning.job.succeeded"]
    assert made["event_types"] == ends
    assert operator.http.get(path).json() == made
    assert operator.http.delete(path).json()["deleted"]
    assert operator.http.get(path).json()["recipients"] == []
    assert operator.http.post(path, json={"recipients": ["x"]}).json()["error"]["param"] == "recipients.0"
    assert operator.http.get("/projects/proj_none/email_notifications").status_code == 404
