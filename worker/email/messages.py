"""Writes the plain-text message of each event that is sent by e-mail."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlmodel import Session

from shared.budgets.amounts import money
from shared.jobs import metrics
from shared.jobs.models import Job
from shared.notifications.models import Notification
from shared.projects.models import Project
from shared.webhooks.event_types import EventType

LABEL_WIDTH = 20


@dataclass(frozen=True)
class Message:
    """`subject` is one line."""

    subject: str
    body: str


def write_message(session: Session, notification: Notification) -> Message:
    project = session.get_one(Project, notification.project_id)
    subject, lines = MESSAGES[EventType(notification.type)](session, project, notification.data)
    prefix = f"{notification.subject_prefix} " if notification.subject_prefix else ""
    return Message(_one_line(prefix + subject), "\n".join(lines) + "\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _budget_message(_: Session, project: Project, data: dict[str, Any]) -> tuple[str, list[str]]:
    currency, reached = data["currency"], f"{data['threshold_amount']} {data['currency']}"
    spent, reserved = Decimal(data["spent"]), Decimal(data["reserved"])
    percent = f", {data['threshold_percent']} % of the limit" if data["threshold_percent"] is not None else ""
    return f"{project.name} has reached {reached} in {data['month']}", [
        f"The project {project.name} ({project.id}) has reached {reached}{percent}.",
        "",
        *_table(
            ("Month", data["month"]),
            ("Spent", money(spent, currency)),
            ("Reserved for jobs", money(reserved, currency)),
            ("Together", money(spent + reserved, currency)),
            ("Limit", f"{data['spend_limit']} {currency}" if data["spend_limit"] is not None else "none"),
        ),
        "",
        f"Details, with an admin key: GET /v1/organization/projects/{project.id}/ledger",
    ]


def _job_message(happened: str, session: Session, project: Project, data: dict[str, Any]) -> tuple[str, list[str]]:
    """About the job as it is now, which may be later than the event: its cost is known only after its end."""
    job = session.get_one(Job, data["id"])
    reason = f"{job.error['message']} ({job.error['code']})" if job.error else None
    return f"Fine-tuning job {job.id} {happened}", [
        f"The fine-tuning job {job.id} of the project {project.name} {happened}.",
        "",
        *_table(
            ("Reason", reason),
            ("Model", job.model),
            ("Tuned model", job.fine_tuned_model),
            ("Training file", job.training_file),
            ("Begun", f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("Duration", _duration(job.created_at, job.finished_at) if job.finished_at else None),
            ("Cost", _cost(job.cost)),
            ("Estimated cost", _cost(job.estimated_cost)),
            ("Last losses", _losses(session, job)),
        ),
        "",
        f"Details, with a key of the project: GET /v1/fine_tuning/jobs/{job.id}",
        f"and GET /v1/fine_tuning/jobs/{job.id}/events",
    ]


def _approval_message(session: Session, project: Project, data: dict[str, Any]) -> tuple[str, list[str]]:
    subject, lines = _job_message("waits for an approval", session, project, data)
    path = f"/v1/organization/projects/{project.id}/jobs/{data['id']}"
    return subject, [*lines, "", f"To decide, with an admin key: POST {path}/approve", f"or POST {path}/reject"]


def _model_message(_: Session, project: Project, data: dict[str, Any]) -> tuple[str, list[str]]:
    days = data["days_left"]
    when = f"in {days} day{'' if days == 1 else 's'}" if days > 0 else "today" if days == 0 else "already"
    others = [f"{each['model']} at {each['provider']}" for each in data["alternatives"]]
    return f"The model {data['id']} stops on {data['shutdown_date']}, {when}", [
        f"The provider stops the base of a tuned model of the project {project.name} ({project.id}).",
        "",
        *_table(("Model", data["id"]), ("Last day", data["shutdown_date"])),
        "",
        "The same data can be trained on another base:" if others else "The project's accounts offer no other base.",
        *(f"  {_one_line(each)}" for each in others),
        "",
        "What it would cost and change, with a key of the project:",
        "GET /v1/fine_tuning/jobs/{the job that made it}/alternatives, or ./tunery models migrate",
    ]


# Every type in shared.notifications.schemas.NotificationType has its entry; a test compares the two.
MESSAGES: dict[EventType, Callable[[Session, Project, dict[str, Any]], tuple[str, list[str]]]] = {
    EventType.JOB_SUCCEEDED: partial(_job_message, "has succeeded"),
    EventType.JOB_FAILED: partial(_job_message, "has failed"),
    EventType.JOB_CANCELLED: partial(_job_message, "was cancelled"),
    EventType.JOB_APPROVAL_REQUIRED: _approval_message,
    EventType.BUDGET_THRESHOLD_REACHED: _budget_message,
    EventType.MODEL_SHUTDOWN_SCHEDULED: _model_message,
}


def _table(*rows: tuple[str, str | None]) -> list[str]:
    """One line for each row that has a value. A value that a caller wrote cannot begin a line of its own."""
    return [f"{label + ':':<{LABEL_WIDTH}}{_one_line(value)}" for label, value in rows if value is not None]


def _duration(start: datetime, end: datetime) -> str:
    """`1 h 5 min 7 s`"""
    seconds = max(0, round((end - start).total_seconds()))
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def _cost(cost: dict[str, Any] | None) -> str | None:
    return None if cost is None else f"{money(Decimal(cost['amount']), cost['currency'])}, {cost['tokens']:,} tokens"


def _losses(session: Session, job: Job) -> str | None:
    point = metrics.last_point(session, job.id)
    if point is None:
        return None
    losses = {"training": point.train_loss, "validation": point.valid_loss, "full validation": point.full_valid_loss}
    known = [f"{name} {loss:g}" for name, loss in losses.items() if loss is not None]
    return f"{', '.join(known)} (step {point.step})" if known else None
