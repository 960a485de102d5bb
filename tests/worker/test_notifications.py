"""Which e-mails a project's members get, and what each says."""

from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.notifications.models import Notification, NotificationStatus
from shared.projects.models import Project
from tests.api.administration import Operator, counted_file
from tests.mail import MailServer
from tests.worker.notifications import ended_job, notification_statuses
from tests.worker.support import change, ids
from tests.world import Person, Sandbox, row, work


def test_a_jobs_end_is_sent_with_its_result_cost_losses_and_duration(
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
    for expected in (
        "of the project alice's team has succeeded.",
        f"Tuned model:        {job['fine_tuned_model']}\n",
        f"Cost:               {job['cost']['amount'].rstrip('0')} USD, {job['cost']['tokens']:,} tokens\n",
        f"Last losses:        training {point['train_loss']:g}",
        f"(step {point['step']})",
        "Duration:           ",
        f"GET /v1/fine_tuning/jobs/{job_id}\n",
    ):
        assert expected in text
    assert notification_statuses() == [(NotificationStatus.SENT, 1, None)] * 2


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


def test_without_a_mail_server_no_notification_is_written(operator: Operator, alice: Person, sandbox: Sandbox) -> None:
    assert operator.http.get(f"/projects/{alice.project_id}/email_notifications").json() == {
        "object": "project.email_notifications",
        "enabled": False,
        "recipients": [],
        "event_types": [],
    }
    ended_job(operator, alice, sandbox)
    assert ids(Notification) == []


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


def test_a_callers_text_cannot_add_a_header_or_a_line_of_the_table(
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


def test_a_projects_addresses_are_shown_changed_and_removed(operator: Operator, alice: Person) -> None:
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
