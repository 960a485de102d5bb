"""Makes events of what a job shows: the wire has none. A later look makes the same ones with the same ids."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from shared.jobs.models import JobStatus, Level
from worker.providers import curve, sanitize
from worker.providers.fireworks import parsing
from worker.providers.fireworks.metrics import Row
from worker.providers.protocol import ProviderEvent, ProviderJob

_BEFORE_TRAINING = {JobStatus.VALIDATING_FILES, JobStatus.QUEUED}
_ENDS = {
    "COMPLETED": "The job has completed",
    "EARLY_STOPPED": "The job has completed: it stopped early, because the validation loss did not improve any more",
    "EXPIRED": "The job has expired",
    "CANCELLED": "The job was cancelled",
}


def events(raw: dict[str, Any], job: ProviderJob, metrics: Iterable[Row]) -> Iterator[ProviderEvent]:
    """Oldest first. Only what was seen can be told: a state that came and went between two looks has no event."""
    yield _event("created", "The job was created", job.created_at)
    last, has_total = 0, False
    for row in metrics:
        if not last:
            yield _event("started", "Training has started")
        last, has_total = row.data["step"] or last, has_total or "total_steps" in row.data
        yield _metrics(row)
    percent = parsing.number(parsing.part(raw, "jobProgress").get("percent")) or 0
    is_training = job.status is not None and not job.status.is_final and job.status not in _BEFORE_TRAINING
    if not last and (is_training or job.status is JobStatus.SUCCEEDED):
        yield _event("started", "Training has started")
    if is_training and 0 < percent <= 100 and not has_total:
        yield _progress(raw, percent, last)
    if job.status is not None and job.status.is_final:
        yield _end(job)
    elif job.provider_status not in {"CREATING", "RUNNING"}:
        # In a state again after more steps is another event.
        yield _event(f"{job.provider_status}-{last}"[:100], f"The job is {_words(job.provider_status)}")


def _event(
    id: str, message: str, at: datetime | None = None, data: dict[str, Any] | None = None, level: Level = Level.INFO
) -> ProviderEvent:
    return ProviderEvent(id, at, level, "metrics" if data else "message", message, data, saves_checkpoint=False)


def _metrics(row: Row) -> ProviderEvent:
    return _event(
        f"metrics-{row.number}-{row.data['step']}", curve.sentence(row.data), sanitize.moment(row.time), row.data
    )


def _progress(raw: dict[str, Any], percent: int, last_step: int) -> ProviderEvent:
    """The number of all steps is computed; where no step is told, each percent counts as one."""
    epoch = parsing.number(parsing.part(raw, "jobProgress").get("epoch"))
    data = {"step": last_step or percent, "total_steps": max(last_step, round(last_step * 100 / percent)) or 100}
    message = f"{percent} % of the training is done" + (f", epoch {epoch + 1}" if epoch is not None else "")
    return ProviderEvent(f"progress-{percent}", None, Level.INFO, "message", message, data, saves_checkpoint=False)


def _end(job: ProviderJob) -> ProviderEvent:
    level = Level.ERROR if job.status is JobStatus.FAILED else Level.INFO
    reason = job.error.message if job.error is not None else None
    message = reason or _ENDS.get(job.provider_status, f"The job is {_words(job.provider_status)}")
    return _event("ended", message, job.finished_at, level=level)


def _words(state: str) -> str:
    return state.lower().replace("_", " ")
