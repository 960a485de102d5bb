"""Reads resources of the wire. Lenient: an odd value must not stop a job. Whole numbers of 64 bits come as texts.

Each function takes decoded JSON. It raises `ValueError` if that is no object, or has no name where one is needed.
"""

from collections.abc import Mapping
from typing import Any

from shared.jobs.models import Job, JobStatus
from worker.providers import sanitize
from worker.providers.fireworks import names
from worker.providers.fireworks.errors import NO_MONEY
from worker.providers.openai.parsing import json_object
from worker.providers.protocol import BaseModel, JobError, Mark, ProviderFile, ProviderJob
from worker.providers.rest import google

_PREFIX = "JOB_STATE_"  # which older jobs lack
STATUSES: Mapping[str, JobStatus] = {
    "VALIDATING": JobStatus.VALIDATING_FILES,
    "CREATING_INPUT_DATASET": JobStatus.VALIDATING_FILES,
    "CREATING": JobStatus.QUEUED,
    "PENDING": JobStatus.QUEUED,
    "RE_QUEUEING": JobStatus.QUEUED,
    "RUNNING": JobStatus.RUNNING,
    "IDLE": JobStatus.RUNNING,
    "WRITING_RESULTS": JobStatus.RUNNING,
    "CANCELLING": JobStatus.RUNNING,
    "PAUSED": JobStatus.PAUSED,
    "COMPLETED": JobStatus.SUCCEEDED,
    "EARLY_STOPPED": JobStatus.SUCCEEDED,
    "FAILED": JobStatus.FAILED,
    "EXPIRED": JobStatus.FAILED,
    "CANCELLED": JobStatus.CANCELLED,
    "DELETING": JobStatus.CANCELLED,
    "DELETING_CLEANING_UP": JobStatus.CANCELLED,
}


def file(answer: object) -> ProviderFile:
    """A dataset, whose size the wire does not say."""
    raw = json_object(answer)
    name = sanitize.some_text(raw.get("displayName")) or ""
    return ProviderFile(names.tail(raw.get("name")), name, None, sanitize.moment(raw.get("createTime")), None)


def is_ready(raw: Mapping[str, Any]) -> bool:
    return raw.get("state") == "READY"


def problem(raw: Mapping[str, Any]) -> str | None:
    """What the provider says is wrong with a resource."""
    status = sanitize.part(raw, "status")
    if google.code_name(status.get("code")) is None:
        return None
    return sanitize.some_text(status.get("message")) or sanitize.text(status.get("code"))


def config(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a job has what it trains by: a preference job keeps it apart."""
    return sanitize.part(raw, "trainingConfig") or raw


def job(answer: object, kind: str, statuses: Mapping[str, JobStatus]) -> ProviderJob:
    raw = json_object(answer)
    id, settings = names.tail(raw.get("name")), config(raw)
    word = sanitize.text(raw.get("state")).removeprefix(_PREFIX)
    status = statuses.get(word)
    return ProviderJob(
        id=f"{kind}/{id}",
        provider_status=word,
        status=status,
        created_at=sanitize.moment(raw.get("createTime")),
        mark=Mark(id, None, None) if id.startswith(Job.id_prefix) else None,
        model=_text(settings, "baseModel") or _text(settings, "warmStartFrom"),
        training_file=names.some_tail(raw.get("dataset")),
        validation_file=names.some_tail(raw.get("evaluationDataset")),
        hyperparameters=_hyperparameters(raw, settings),
        trained_tokens=google.number(sanitize.part(raw, "jobProgress").get("inputTokens"), bits=64) or None,
        fine_tuned_model=_text(settings, "outputModel") if status is JobStatus.SUCCEEDED else None,
        finished_at=sanitize.moment(raw.get("completedTime")),
        error=_error(raw, status),
        result_files=(f"{kind}/{id}",) if status is JobStatus.SUCCEEDED else (),
        cost=google.dollars(sanitize.part(raw, "estimatedCost")) if status is JobStatus.SUCCEEDED else None,
    )


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    return sanitize.some_text(raw.get(key))


def _hyperparameters(raw: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "n_epochs": google.number(settings.get("epochs")),
        "batch_size": google.number(settings.get("batchSizeSamples")),
    }
    beta = sanitize.json(sanitize.part(sanitize.part(raw, "lossConfig"), "dpo").get("beta"))
    found["beta"] = beta if isinstance(beta, int | float) else None
    return {name: value for name, value in found.items() if value}


def _error(raw: Mapping[str, Any], status: JobStatus | None) -> JobError | None:
    if status in {JobStatus.SUCCEEDED, JobStatus.CANCELLED}:
        return None
    code = google.code_name(sanitize.part(raw, "status").get("code"))
    if code == google.EXHAUSTED:
        code = NO_MONEY
    return JobError(code, problem(raw), None) if code is not None else None


def base_model(raw: Mapping[str, Any]) -> BaseModel | None:
    """None for a model without a name, and for an adapter, which somebody has tuned."""
    name, kind = raw.get("name"), sanitize.text(raw.get("kind"))
    if not sanitize.is_id(name) or kind.endswith("ADDON") or kind == "LIVE_MERGE":
        return None
    made = sanitize.moment(raw.get("createTime"))
    return BaseModel(
        id=str(name),
        created=int(made.timestamp()) if made else 0,
        owned_by=str(name).split("/")[1] if str(name).startswith("accounts/") else "",
        shutdown_date=google.day(sanitize.part(raw, "deprecationDate")),
        is_tunable=raw.get("tunable") is True,
    )
