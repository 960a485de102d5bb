"""What the page of a job shows: its stages, what may be done with it, its messages, checkpoints and files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlmodel import Session, col
from starlette.requests import Request

from api.dashboard import snippets
from api.dashboard.view import View
from shared.db.owned import get_owned, list_owned
from shared.jobs import metrics
from shared.jobs import service as jobs
from shared.jobs.models import Approval, Checkpoint, Job, JobEvent, JobStatus
from shared.jobs.schemas import CheckpointPublic, JobPublic, shown_status
from shared.jobs.transitions import PERMITTED_WHEN
from shared.projects.callers import Caller
from shared.webhooks import deliveries
from shared.webhooks.models import DeliveryStatus

MESSAGES = 100
CHECKPOINTS = 20
DELIVERIES = 20
GAP_SECONDS = 1  # between two messages, from which on it is told


@dataclass(frozen=True)
class Stage:
    """`state`: `done`, `now`, `failed` or `later`. `seconds`: since the stage before it that has a time."""

    label: str
    state: str
    at: datetime | None = None
    note: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Message:
    event: JobEvent
    seconds_since_previous: float | None


def find(session: Session, project_id: str, job_id: str) -> Job:
    return get_owned(session, Job, job_id, project_id, param="fine_tuning_job_id")


def values(session: Session, caller: Caller, job_id: str) -> dict[str, Any]:
    """Return what the part of the page that moves needs."""
    project_id = caller.project_id
    row = find(session, project_id, job_id)
    permitted = {str(request) for request, when in PERMITTED_WHEN.items() if when & {row.status, shown_status(row)}}
    checkpoints = jobs.list_checkpoints(session, project_id, job_id, after=None, limit=CHECKPOINTS)
    last = metrics.last_point(session, job_id)
    return {
        "job": JobPublic.of(row),
        "stages": _with_gaps(_stages(row, last is not None, checkpoints)),
        "may_write": caller.may("jobs:write"),
        "may": permitted if caller.may("jobs:write") else set(),
        "messages": _messages(session, row),
        "checkpoints": [CheckpointPublic.of(each) for each in checkpoints[:CHECKPOINTS]],
        "last": last,
        "step": row.step,
        "total_steps": row.total_steps,
    }


def _with_gaps(stages: Iterator[Stage]) -> list[Stage]:
    found: list[Stage] = []
    before: datetime | None = None
    for stage in stages:
        gap = (stage.at - before).total_seconds() if stage.at and before and stage.at >= before else None
        found.append(replace(stage, seconds=gap))
        before = stage.at or before
    return found


def _stages(job: Job, has_trained: bool, checkpoints: Sequence[Checkpoint]) -> Iterator[Stage]:
    is_over, is_waiting = job.status.is_final, job.status is JobStatus.QUEUED
    is_checking = job.status is JobStatus.VALIDATING_FILES
    was_sent = job.provider_job_id is not None
    yield Stage("Accepted", "done", job.created_at)
    yield Stage("Checked", _state(job.cleared_at is not None or was_sent, is_checking), job.cleared_at)
    yield Stage("Sent", _state(was_sent, is_waiting and not was_sent), job.sent_at, "" if was_sent else _awaited(job))
    is_queued = is_waiting and was_sent and not has_trained
    yield Stage("Queued", _state(has_trained or (was_sent and not is_waiting), is_queued))
    is_training = job.status in {JobStatus.RUNNING, JobStatus.PAUSED}
    yield Stage(
        "Paused" if job.status is JobStatus.PAUSED else "Training",
        _state(has_trained and is_over, is_training),
        job.started_at,
    )
    if checkpoints or not is_over:
        note = f"the newest at step {checkpoints[0].step_number}" if checkpoints else ""
        yield Stage("Checkpoints", "done" if checkpoints else "later", None, note)
    label = str(job.status).capitalize() if is_over else "Done"
    state = "later" if not is_over else "done" if job.status is JobStatus.SUCCEEDED else "failed"
    yield Stage(label, state, job.finished_at)


def _awaited(job: Job) -> str:
    if job.status is not JobStatus.QUEUED:
        return ""
    return "waits for approval" if job.approval is Approval.AWAITED else "waits for a slot"


def _state(is_done: bool, is_now: bool) -> str:
    return "now" if is_now else "done" if is_done else "later"


def deliveries_of(view: View, job_id: str) -> dict[str, Any]:
    """Return the deliveries of the events about a job and its checkpoints; None for a key that may not read them."""
    if not view.caller.may("webhooks:read"):
        return {"deliveries": None, "told": None}
    row = find(view.session, view.caller.project_id, job_id)
    saved = jobs.list_checkpoints(view.session, row.project_id, row.id, after=None, limit=CHECKPOINTS)
    about = [row.id, *(each.id for each in saved)]
    found = deliveries.list_about(view.session, row.project_id, about, DELIVERIES + 1)
    states = {each.status for each, _ in found}
    return {
        "deliveries": found[:DELIVERIES],
        "more_deliveries": len(found) > DELIVERIES,
        "told": _told(states),
        "may_redeliver": view.caller.may("webhooks:write"),
        "is_moving": DeliveryStatus.PENDING in states or not row.status.is_final,
    }


def _told(states: set[DeliveryStatus]) -> Stage:
    """Return the last stage: whether those who asked for events were told."""
    if not states:
        return Stage("Told", "later", note="no webhook")
    if DeliveryStatus.FAILED in states:
        return Stage("Told", "failed", note="a delivery failed")
    return Stage("Told", "now", note="being delivered") if DeliveryStatus.PENDING in states else Stage("Told", "done")


def _messages(session: Session, job: Job) -> list[Message]:
    """Return the newest messages, newest first, each with the time since the one before it."""
    where = (JobEvent.job_id == job.id, col(JobEvent.type) != "metrics")
    rows = list_owned(session, JobEvent, job.project_id, *where, after=None, limit=MESSAGES)
    times = [row.created_at for row in rows]
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(times)]
    return [
        Message(row, gap if gap is not None and gap >= GAP_SECONDS else None)
        for row, gap in zip(rows[:MESSAGES], [*gaps, None], strict=False)
    ]


def calls(request: Request, job_id: str) -> dict[str, str]:
    """Return the same as calls of the API."""
    python = (
        f'job = client.fine_tuning.jobs.retrieve("{job_id}")\nprint(job.status)\n'
        f'for event in client.fine_tuning.jobs.list_events("{job_id}"):\n    print(event.message)'
    )
    return snippets.calls(request, "GET", f"/fine_tuning/jobs/{job_id}", python)


def settings(job: JobPublic) -> dict[str, Any]:
    """Return what was asked for, by its name on the wire."""
    asked = {
        "model": job.model,
        "method": (job.method or {}).get("type"),
        **job.hyperparameters,
        "seed": job.seed,
        "suffix": job.user_provided_suffix,
        "priority": job.priority,
        **{f"metadata: {name}": value for name, value in (job.metadata or {}).items()},
        **{f"option: {name}": value for name, value in (job.provider_options or {}).items()},
    }
    return {name: value for name, value in asked.items() if value is not None}
