"""Reads jobs and files of Together's wire. Lenient, for the reasons that `worker.providers.openai.parsing` has."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from shared.db.times import utc_now
from shared.jobs.models import JobStatus
from worker.providers import sanitize
from worker.providers.openai.parsing import id_of, json_object
from worker.providers.protocol import JobError, ProviderFile, ProviderJob
from worker.providers.together import suffix

# A job that is to be cancelled still runs, and may end otherwise. After its training a model is packed and stored.
STATUSES: Mapping[str, JobStatus] = {
    "pending": JobStatus.QUEUED,
    "queued": JobStatus.QUEUED,
    "running": JobStatus.RUNNING,
    "compressing": JobStatus.RUNNING,
    "uploading": JobStatus.RUNNING,
    "cancel_requested": JobStatus.RUNNING,
    "cancelled": JobStatus.CANCELLED,
    "error": JobStatus.FAILED,
    "user_error": JobStatus.FAILED,
    "completed": JobStatus.SUCCEEDED,
}
CURVE = ".metrics"
"""The end of the name under which a job's metrics can be read as a file, which the provider does not write."""
ADAPTER = "adapter.tar.zst"
"""The end of the name under which the weights of LoRA can be read. Those of a whole model are too many to be copied."""

_NANO_DOLLARS = 10**9
_MAX_NANO_DOLLARS = 10**18
_MAX_SECONDS = 10**9
_FINISH_STEP = timedelta(minutes=1)  # an estimate that moves by seconds at each look is no news


def file(answer: object) -> ProviderFile:
    raw = json_object(answer)
    return ProviderFile(
        id=id_of(raw),
        name=sanitize.some_text(raw.get("filename")) or "",
        bytes=sanitize.number(raw.get("bytes"), bits=64),
        created_at=sanitize.moment(raw.get("created_at")),
        expires_at=None,
    )


def summary(answer: object, statuses: Mapping[str, JobStatus]) -> ProviderJob:
    """What all jobs are compared by: of some ten thousand no more can be kept."""
    raw = json_object(answer)
    word = sanitize.text(raw.get("status"))
    status = statuses.get(word)
    return ProviderJob(
        id=id_of(raw),
        provider_status=word,
        status=status,
        created_at=sanitize.moment(raw.get("created_at")),
        trained_tokens=sanitize.number(raw.get("token_count"), bits=64) or None,
        # The model has its name from the first moment, and is there at the end.
        fine_tuned_model=sanitize.some_text(raw.get("model_output_name")) if status is JobStatus.SUCCEEDED else None,
        estimated_finish=_estimated_finish(sanitize.part(raw, "progress")) if status is JobStatus.RUNNING else None,
    )


def job(answer: object, statuses: Mapping[str, JobStatus]) -> ProviderJob:
    raw = json_object(answer)
    read = summary(raw, statuses)
    is_done, is_over = read.status is JobStatus.SUCCEEDED, read.status is not None and read.status.is_final
    return replace(
        read,
        mark=suffix.mark(raw),
        model=sanitize.some_text(raw.get("from_checkpoint")) or sanitize.some_text(raw.get("model")),
        training_file=sanitize.some_text(raw.get("training_file")),
        validation_file=sanitize.some_text(raw.get("validation_file")),
        seed=sanitize.number(raw.get("random_seed")),
        hyperparameters=_hyperparameters(raw),
        finished_at=sanitize.moment(raw.get("updated_at")) if is_over else None,
        error=error(raw.get("events")) if read.status is JobStatus.FAILED else None,
        result_files=_result_files(raw, read.id) if is_done else (),
        cost=_cost(raw.get("total_price")) if is_done else None,
    )


def _result_files(raw: dict[str, Any], id: str) -> tuple[str, ...]:
    is_whole = sanitize.part(raw, "training_type").get("type") == "Full"
    return (f"{id}{CURVE}",) if is_whole else (f"{id}{CURVE}", f"{id}.{ADAPTER}")


def _hyperparameters(raw: dict[str, Any]) -> dict[str, Any]:
    """The rate is left out: it is absolute there, and OpenAI's is a multiplier."""
    numbers = {name: sanitize.number(raw.get(name)) for name in ("n_epochs", "batch_size")}
    return {name: number for name, number in numbers.items() if number}


def _estimated_finish(progress: dict[str, Any]) -> datetime | None:
    seconds = progress.get("seconds_remaining") if progress.get("estimate_available") is True else None
    if not isinstance(seconds, int | float) or not 0 < seconds < _MAX_SECONDS:
        return None
    finish = utc_now() + timedelta(seconds=seconds)
    return finish + _FINISH_STEP - timedelta(seconds=finish.second, microseconds=finish.microsecond)


def _cost(price: object) -> Decimal | None:
    """In US dollars; the wire counts in billionths. None for nothing, which is what a job has before it is priced."""
    if isinstance(price, bool) or not isinstance(price, int) or not 0 < price < _MAX_NANO_DOLLARS:
        return None
    return Decimal(price) / _NANO_DOLLARS


def word(value: object) -> str:
    """A type or a level of an event: in capitals until the summer of 2026, in small letters since."""
    return sanitize.text(value).lower() if isinstance(value, str) else ""


def error(events: object) -> JobError | None:
    """What the last event says that is an error. The wire has no other place for it."""
    raws = [each for each in events if isinstance(each, dict)] if isinstance(events, list) else []
    for raw in reversed(raws):
        kind, level = word(raw.get("type")), word(raw.get("level"))
        if kind in {"job_error", "job_user_error", "billing_limit"} or level in {"error", "legacy_ierror"}:
            return JobError(
                "insufficient_quota" if kind == "billing_limit" else None, sanitize.some_text(raw.get("message")), None
            )
    return None
