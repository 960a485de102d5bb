"""The words of a notice: plain text, with what one wants to know of what happened, and where to look."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel import Session

from shared.budgets.amounts import money
from shared.jobs import metrics
from shared.jobs.models import Job
from shared.notifications.models import Notification
from shared.projects.models import Project
from shared.webhooks.event_types import EventType

_HAPPENED = {
    EventType.JOB_SUCCEEDED: "has succeeded",
    EventType.JOB_FAILED: "has failed",
    EventType.JOB_CANCELLED: "was cancelled",
    EventType.JOB_APPROVAL_REQUIRED: "waits for an approval",
}


@dataclass(frozen=True)
class Letter:
    """`subject` is one line."""

    subject: str
    text: str


def letter(session: Session, notice: Notification) -> Letter:
    project = session.get_one(Project, notice.project_id)
    type = EventType(notice.type)
    if type is EventType.BUDGET_THRESHOLD_REACHED:
        subject, lines = _of_budget(project, notice.data)
    else:
        subject, lines = _of_job(session, project, session.get_one(Job, notice.data["id"]), type)
    prefix = f"{notice.subject_prefix} " if notice.subject_prefix else ""
    return Letter(_one_line(prefix + subject), "\n".join(lines) + "\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _of_budget(project: Project, data: dict[str, Any]) -> tuple[str, list[str]]:
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
        f"Where to look, with an admin key: GET /v1/organization/projects/{project.id}/ledger",
    ]


def _of_job(session: Session, project: Project, job: Job, type: EventType) -> tuple[str, list[str]]:
    happened = _HAPPENED[type]
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
        f"Where to look, with a key of the project: GET /v1/fine_tuning/jobs/{job.id}",
        f"and GET /v1/fine_tuning/jobs/{job.id}/events",
        *_for_approvers(project, job, type),
    ]


def _for_approvers(project: Project, job: Job, type: EventType) -> list[str]:
    if type is not EventType.JOB_APPROVAL_REQUIRED:
        return []
    path = f"/v1/organization/projects/{project.id}/jobs/{job.id}"
    return ["", f"To decide, with an admin key: POST {path}/approve", f"or POST {path}/reject"]


def _table(*rows: tuple[str, str | None]) -> list[str]:
    return [f"{name + ':':<20}{_one_line(value)}" for name, value in rows if value is not None]


def _duration(since: datetime, until: datetime) -> str:
    """From the request to the end: `1 h 5 min 7 s`."""
    seconds = max(0, round((until - since).total_seconds()))
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def _cost(cost: dict[str, Any] | None) -> str | None:
    return None if cost is None else f"{money(Decimal(cost['amount']), cost['currency'])}, {cost['tokens']:,} tokens"


def _losses(session: Session, job: Job) -> str | None:
    point = metrics.last_point(session, job.id)
    if point is None:
        return None
    losses = {"training": point.train_loss, "validation": point.valid_loss, "full validation": point.full_valid_loss}
    told = [f"{name} {loss:g}" for name, loss in losses.items() if loss is not None]
    return f"{', '.join(told)} (step {point.step})" if told else None
