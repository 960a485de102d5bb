"""The message of each event that is sent by e-mail."""

from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.webhooks.samples import sample
from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import Job
from shared.notifications.models import Notification
from shared.notifications.schemas import NotificationType
from shared.webhooks.event_types import EventType
from tests.worker.support import change
from tests.world import Person
from worker.email.messages import MESSAGES, Message, _duration, _one_line, write_message

BUDGET = sample(EventType.BUDGET_THRESHOLD_REACHED)


def message(person: Person, type: EventType, subject_prefix: str | None = None, **data: object) -> Message:
    notification = Notification(
        project_id=person.project_id, type=type, recipient="a@example.com", subject_prefix=subject_prefix, data=data
    )
    with transaction() as session:
        return write_message(session, notification)


def test_each_event_that_can_be_sent_by_e_mail_has_a_message_and_no_other() -> None:
    assert set(MESSAGES) == set(get_args(NotificationType))


@pytest.mark.parametrize(
    ("type", "happened"),
    [
        (EventType.JOB_SUCCEEDED, "has succeeded"),
        (EventType.JOB_FAILED, "has failed"),
        (EventType.JOB_CANCELLED, "was cancelled"),
        (EventType.JOB_APPROVAL_REQUIRED, "waits for an approval"),
    ],
)
def test_a_jobs_message_says_what_happened_and_where_to_look(alice: Person, type: EventType, happened: str) -> None:
    job_id = alice.create_job()
    written = message(alice, type, id=job_id)
    assert written.subject == f"Fine-tuning job {job_id} {happened}"
    assert written.body.startswith(f"The fine-tuning job {job_id} of the project alice's team {happened}.\n")
    assert f"GET /v1/fine_tuning/jobs/{job_id}\n" in written.body
    assert ("/approve\n" in written.body) is (type is EventType.JOB_APPROVAL_REQUIRED)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"error": {"code": "x", "message": "It broke", "param": None}}, "Reason:             It broke (x)\n"),
        ({"fine_tuned_model": "ft:a"}, "Tuned model:        ft:a\n"),
        (
            {"cost": {"amount": "0.50", "currency": "USD", "tokens": 84_000}},
            "\nCost:               ",
        ),
        ({"cost": None}, None),
    ],
)
def test_a_jobs_message_has_a_line_for_each_known_fact(
    alice: Person, values: dict[str, object], line: str | None
) -> None:
    job_id = alice.create_job()
    change(Job, job_id, **values)
    body = message(alice, EventType.JOB_FAILED, id=job_id).body
    assert (line in body) if line else ("\nCost:" not in body)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({}, "has reached 400.00 USD, 80 % of the limit."),
        ({"threshold_percent": None}, "has reached 400.00 USD.\n"),
        ({}, "Limit:              500.00 USD\n"),
        ({"spend_limit": None}, "Limit:              none\n"),
        ({}, "Together:           403.60 USD\n"),
    ],
)
def test_a_budgets_message_says_what_was_reached_and_of_which_limit(
    alice: Person, data: dict[str, object], line: str
) -> None:
    written = message(alice, EventType.BUDGET_THRESHOLD_REACHED, **{**BUDGET, **data})
    assert written.subject == "alice's team has reached 400.00 USD in 2026-11"
    assert line in written.body


@pytest.mark.parametrize(
    ("days_left", "others", "subject", "line"),
    [
        (5, [{"provider": "trainer", "model": "smol"}], "in 5 days", "  smol at trainer\n"),
        (1, [], "in 1 day", "offer no other base.\n"),
        (0, [], "today", "Last day:           2027-01-14\n"),
        (-3, [], "already", "Model:              ft:a\n"),
    ],
)
def test_a_models_message_says_when_it_stops_and_what_else_there_is(
    alice: Person, days_left: int, others: list[dict[str, str]], subject: str, line: str
) -> None:
    data: dict[str, Any] = {"id": "ft:a", "shutdown_date": "2027-01-14", "days_left": days_left, "alternatives": others}
    written = message(alice, EventType.MODEL_SHUTDOWN_SCHEDULED, **data)
    assert written.subject == f"The model ft:a stops on 2027-01-14, {subject}"
    assert line in written.body


def test_the_prefix_stands_before_the_subject_in_one_line(alice: Person) -> None:
    written = message(alice, EventType.BUDGET_THRESHOLD_REACHED, "[money]\r\nBcc: b@example.com", **BUDGET)
    assert written.subject.startswith("[money] Bcc: b@example.com alice's team has reached")
    assert "\n" not in written.subject


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (3907, "1 h 5 min 7 s"), (-5, "0 s"), (90_000, "25 h")],
)
def test_a_duration_is_written_in_hours_minutes_and_seconds(seconds: int, words: str) -> None:
    now = utc_now()
    assert _duration(now, now + timedelta(seconds=seconds)) == words


@given(st.text())
def test_no_text_of_a_caller_contains_a_line_break(text: str) -> None:
    assert len(_one_line(text).splitlines()) <= 1
