"""Reads objects of OpenAI's wire. Lenient: providers differ, and their odd values must not stop a job.

Each function takes decoded JSON. It raises `ValueError` if that is no object, or has no id where one is needed: proxies
stand before providers, and the body of their «200 OK» may be anything.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.jobs.models import JobStatus, Level
from worker.providers import sanitize
from worker.providers.protocol import JobError, Mark, ProviderCheckpoint, ProviderEvent, ProviderFile, ProviderJob

JOB_KEY = "tunery_job"
PROJECT_KEY = "tunery_project"
MAX_RESULT_FILES = 16
ORGANIZATION_KEY = "tunery_organization"

# OpenAI's words are ours. The others are Azure's, in both spellings of "cancelled".
STATUSES: Mapping[str, JobStatus] = {
    **{status.value: status for status in JobStatus},
    "canceled": JobStatus.CANCELLED,
    "pending": JobStatus.QUEUED,
    "notRunning": JobStatus.QUEUED,
    "resuming": JobStatus.RUNNING,
    "pausing": JobStatus.RUNNING,
}


def json_object(answer: object) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ValueError(f"it is no object, but {type(answer).__name__}")
    return answer


def items(page: object) -> list[dict[str, Any]]:
    """The items of one page. Something that is no list must not pass for an empty one: see `Provider`."""
    page = json_object(page)
    data = page.get("data")
    if data is None and page.get("object") == "list":
        return []
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ValueError("it is no list of objects")
    return data


def id_of(answer: object) -> str:
    id = json_object(answer).get("id")
    if not sanitize.is_id(id):
        raise ValueError("it is an object without an id")
    return str(id)


def created_at(raw: dict[str, Any]) -> datetime | None:
    return sanitize.time(raw.get("created_at"))


def is_older(raw: dict[str, Any], time: datetime) -> bool:
    """Whether the object was created before `time`. One that has no time is not older, so that a search goes on."""
    made_at = created_at(raw)
    return made_at is not None and made_at < time


def metadata_of(raw: dict[str, Any]) -> dict[str, Any]:
    return sanitize.part(raw, "metadata")


def file(answer: object) -> ProviderFile:
    raw = json_object(answer)
    return ProviderFile(
        id=id_of(raw),
        name=sanitize.some_text(raw.get("filename")) or "",
        bytes=sanitize.number(raw.get("bytes"), bits=64),
        created_at=created_at(raw),
        expires_at=sanitize.time(raw.get("expires_at")),
    )


def summary(answer: object, statuses: Mapping[str, JobStatus]) -> ProviderJob:
    """A job with the fields alone by which a list is compared: to read all of them of thousands takes a second."""
    raw = json_object(answer)
    status = raw.get("status")
    return ProviderJob(
        id=id_of(raw),
        provider_status=sanitize.text(status),
        status=statuses.get(str(status)),
        created_at=created_at(raw),
        trained_tokens=sanitize.number(raw.get("trained_tokens"), bits=64),
        fine_tuned_model=sanitize.some_text(raw.get("fine_tuned_model")),
        estimated_finish=sanitize.time(raw.get("estimated_finish")),
    )


def job(answer: object, statuses: Mapping[str, JobStatus]) -> ProviderJob:
    raw = json_object(answer)
    return replace(
        summary(raw, statuses),
        mark=mark(metadata_of(raw)),
        model=sanitize.some_text(raw.get("model")),
        training_file=sanitize.some_text(raw.get("training_file")),
        validation_file=sanitize.some_text(raw.get("validation_file")),
        seed=sanitize.number(raw.get("seed")),
        hyperparameters=_hyperparameters(raw),
        finished_at=sanitize.time(raw.get("finished_at")),
        error=_error(raw.get("error")),
        result_files=ids(raw.get("result_files")),
    )


def metadata(mark: Mark) -> dict[str, str | None]:
    """The metadata by which a job is ours."""
    return {JOB_KEY: mark.job_id, PROJECT_KEY: mark.project_id, ORGANIZATION_KEY: mark.organization_id}


def mark(metadata: dict[str, Any]) -> Mark | None:
    job_id = sanitize.some_text(metadata.get(JOB_KEY))
    others = (sanitize.some_text(metadata.get(key)) for key in (PROJECT_KEY, ORGANIZATION_KEY))
    return Mark(job_id, *others) if job_id is not None else None


def _hyperparameters(raw: dict[str, Any]) -> dict[str, Any]:
    """Those of the method go before those at the top level, which are the older way to say the same."""
    method = raw.get("method")
    block = method.get(str(method.get("type"))) if isinstance(method, dict) else None
    sources = (raw.get("hyperparameters"), block.get("hyperparameters") if isinstance(block, dict) else None)
    return {name: value for source in sources for name, value in (sanitize.json_object(source) or {}).items() if value}


def _error(raw: object) -> JobError | None:
    """OpenAI itself sends an empty object for a job that has not failed."""
    if not isinstance(raw, dict):
        return None
    return JobError(*(sanitize.some_text(raw.get(name)) for name in ("code", "message", "param")))


def ids(raw: object) -> tuple[str, ...]:
    return tuple(id for id in raw[:MAX_RESULT_FILES] if sanitize.is_id(id)) if isinstance(raw, list) else ()


def event(raw: dict[str, Any]) -> ProviderEvent | None:
    """None for one that has no id: without it the event would be recorded at each poll."""
    id, level, message = raw.get("id"), raw.get("level"), sanitize.text(raw.get("message"))
    if not isinstance(id, str):
        return None
    return ProviderEvent(
        id=sanitize.text(id),
        created_at=created_at(raw),
        level=Level(level) if isinstance(level, str) and level in set(Level) else Level.INFO,
        type=sanitize.text(raw.get("type") or "message"),
        message=message,
        data=sanitize.json_object(raw.get("data")),
        saves_checkpoint=message.startswith("Checkpoint created"),
    )


def checkpoint(raw: dict[str, Any]) -> ProviderCheckpoint | None:
    """None for one without a model or a step: nobody can use it."""
    model, step = sanitize.some_text(raw.get("fine_tuned_model_checkpoint")), sanitize.number(raw.get("step_number"))
    if model is None or step is None:
        return None
    metrics = sanitize.json_object(raw.get("metrics")) or {}
    return ProviderCheckpoint(
        id=sanitize.text(raw.get("id")),
        created_at=created_at(raw),
        model=model,
        step_number=step,
        metrics={name: value for name, value in metrics.items() if value is not None},
    )
