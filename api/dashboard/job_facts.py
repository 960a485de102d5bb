"""What the page of a job shows: its stages, what may be done with it, its messages, checkpoints and files."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlmodel import Session, col
from starlette.requests import Request

from api.dashboard import snippets
from shared.db.owned import get_owned, list_owned
from shared.jobs import metrics
from shared.jobs import service as jobs
from shared.jobs.models import Job, JobEvent, JobStatus
from shared.jobs.schemas import CheckpointPublic, JobPublic, shown_status
from shared.jobs.transitions import PERMITTED_WHEN

MESSAGES = 100
CHECKPOINTS = 20
GAP_SECONDS = 1  # between two messages, from which on it is told


@dataclass(frozen=True)
class Stage:
    """`state`: `done`, `now`, `failed` or `later`."""

    label: str
    state: str
    at: datetime | None = None


@dataclass(frozen=True)
class Message:
    event: JobEvent
    seconds_since_previous: float | None


def find(session: Session, project_id: str, job_id: str) -> Job:
    return get_owned(session, Job, job_id, project_id, param="fine_tuning_job_id")


def values(session: Session, project_id: str, job_id: str) -> dict[str, Any]:
    """Return what the part of the page that moves needs."""
    row = find(session, project_id, job_id)
    checkpoints = jobs.list_checkpoints(session, project_id, job_id, after=None, limit=CHECKPOINTS)
    last = metrics.last_point(session, job_id)
    return {
        "job": JobPublic.of(row),
        "stages": list(_stages(row, last is not None)),
        "may": {str(request) for request, when in PERMITTED_WHEN.items() if when & {row.status, shown_status(row)}},
        "messages": _messages(session, row),
        "checkpoints": [CheckpointPublic.of(each) for each in checkpoints[:CHECKPOINTS]],
        "last": last,
        "step": row.step,
        "total_steps": row.total_steps,
    }


def _stages(job: Job, has_trained: bool) -> Iterator[Stage]:
    is_over, is_waiting = job.status.is_final, job.status is JobStatus.QUEUED
    is_checking = job.status is JobStatus.VALIDATING_FILES
    was_sent = job.provider_job_id is not None
    yield Stage("Accepted", "done", job.created_at)
    yield Stage("Checked", _state(job.cleared_at is not None or was_sent, is_checking), job.cleared_at)
    yield Stage("Queued", _state(has_trained or (was_sent and not is_waiting), is_waiting and not has_trained))
    is_training = job.status in {JobStatus.RUNNING, JobStatus.PAUSED}
    yield Stage(
        "Paused" if job.status is JobStatus.PAUSED else "Training", _state(has_trained and is_over, is_training)
    )
    label = str(job.status).capitalize() if is_over else "Done"
    state = "later" if not is_over else "done" if job.status is JobStatus.SUCCEEDED else "failed"
    yield Stage(label, state, job.finished_at)


def _state(is_done: bool, is_now: bool) -> str:
    return "now" if is_now else "done" if is_done else "later"


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
