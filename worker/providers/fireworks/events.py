"""Makes events of what a job shows: the wire has none. A later look makes the same ones with the same ids."""

from collections.abc import Iterable, Iterator
from typing import Any

from shared.jobs.models import JobStatus, Level
from worker.providers import sanitize
from worker.providers.made_events import message, metrics
from worker.providers.protocol import ProviderEvent, ProviderJob
from worker.providers.rest import google
from worker.providers.rest.metric_lines import Row

_BEFORE_TRAINING = {JobStatus.VALIDATING_FILES, JobStatus.QUEUED}
_ENDS = {
    "COMPLETED": "The job has completed",
    "EARLY_STOPPED": "The job has completed: it stopped early, because the validation loss did not improve any more",
    "EXPIRED": "The job has expired",
    "CANCELLED": "The job was cancelled",
}


def events(raw: dict[str, Any], job: ProviderJob, rows: Iterable[Row]) -> Iterator[ProviderEvent]:
    """Oldest first. Only what was seen can be told: a state that came and went between two looks has no event."""
    yield message("created", "The job was created", job.created_at)
    last, has_total = 0, False
    for row in rows:
        if not last:
            yield message("started", "Training has started")
        last, has_total = row.data["step"] or last, has_total or "total_steps" in row.data
        yield metrics(f"metrics-{row.number}-{row.data['step']}", row.data, sanitize.moment(row.time))
    percent = google.number(sanitize.part(raw, "jobProgress").get("percent")) or 0
    is_training = job.status is not None and not job.status.is_final and job.status not in _BEFORE_TRAINING
    if not last and (is_training or job.status is JobStatus.SUCCEEDED):
        yield message("started", "Training has started")
    if is_training and 0 < percent <= 100 and not has_total:
        yield _progress(raw, percent, last)
    if job.status is not None and job.status.is_final:
        yield _end(job)
    elif job.provider_status not in {"CREATING", "RUNNING"}:
        # In a state again after more steps is another event.
        yield message(f"{job.provider_status}-{last}"[:100], f"The job is {_words(job.provider_status)}")


def _progress(raw: dict[str, Any], percent: int, last_step: int) -> ProviderEvent:
    """The number of all steps is computed; where no step is told, each percent counts as one."""
    epoch = google.number(sanitize.part(raw, "jobProgress").get("epoch"))
    data = {"step": last_step or percent, "total_steps": max(last_step, round(last_step * 100 / percent)) or 100}
    text = f"{percent} % of the training is done" + (f", epoch {epoch + 1}" if epoch is not None else "")
    return message(f"progress-{percent}", text, data=data)


def _end(job: ProviderJob) -> ProviderEvent:
    level = Level.ERROR if job.status is JobStatus.FAILED else Level.INFO
    reason = job.error.message if job.error is not None else None
    text = reason or _ENDS.get(job.provider_status, f"The job is {_words(job.provider_status)}")
    return message("ended", text, job.finished_at, level=level)


def _words(state: str) -> str:
    return state.lower().replace("_", " ")
