"""Fetches a job from the provider: its status, its new events, checkpoints and results."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.datasets import service as datasets
from shared.datasets.storage import store
from shared.datasets.storage.store import Stored
from shared.errors import Invalid
from shared.jobs.models import Job, JobStatus
from shared.settings import get_settings
from worker.net.call_limits import MAX_FILE_BYTES, files_up_to
from worker.providers.errors import ProviderError
from worker.providers.protocol import Provider, ProviderCheckpoint, ProviderEvent, ProviderJob
from worker.runtime.steps import log

GONE = ProviderError("it does not know this job", "not_found", retryable=True, status=404)
MAX_COPY_SECONDS = 1800.0  # of all results of a job: bytes that no row has are removed after an hour
METRICS_FILENAME = "step_metrics.csv"
MAX_REFUSED_EVENT_POLLS = 3  # then the end of a job is recorded without its last events


@dataclass(frozen=True)
class Unseen:
    """The provider does not know the job, or refuses to list the events of one that has ended."""

    error: ProviderError


@dataclass(frozen=True)
class Result:
    """A result file, copied here."""

    filename: str
    stored: Stored


@dataclass(frozen=True)
class Seen:
    """`job` is None if only the events were fetched."""

    job: ProviderJob | None
    events: list[ProviderEvent]
    checkpoints: list[ProviderCheckpoint]
    results: list[Result]


def fetch_job(provider: Provider, job: Job) -> Seen | Unseen:
    """Fetch the job and everything new. The status comes first, so that a final one has all its events."""
    id = job.provider_job_id or ""
    try:
        seen = provider.get_job(id)
    except ProviderError as error:
        if error.status == 404:
            return Unseen(GONE)
        raise
    final = status_of(seen, job.status).is_final
    try:
        events = _events(provider, job, final=final)
    except ProviderError as error:
        if error.retryable:
            raise
        return Unseen(error)
    return Seen(
        seen,
        events,
        _optional(provider.checkpoints, id) if final or _saved(events) else [],
        _results(provider, seen.result_files) if final else [],
    )


def fetch_events(provider: Provider, job: Job) -> Seen:
    """Fetch only new events and checkpoints, for a job whose status the watch knows."""
    id = job.provider_job_id or ""
    events = _events(provider, job, final=False)
    return Seen(None, events, _optional(provider.checkpoints, id) if _saved(events) else [], [])


def _events(provider: Provider, job: Job, *, final: bool) -> list[ProviderEvent]:
    """Return the new events; none if the provider refuses them, since some providers have no events.

    For a job that has ended the refusal is raised a few times first, since it may be temporary.
    """
    try:
        return provider.new_events(job.provider_job_id or "", None if final else job.last_provider_event_id)
    except ProviderError as error:
        if error.retryable or (final and job.not_found_count < MAX_REFUSED_EVENT_POLLS):
            raise
        log.warning("the events of a job are refused", job_id=job.id, code=error.code, reason=error.message)
        return []


def find(provider: Provider, job: Job, since: datetime) -> list[ProviderJob]:
    """Return the provider's jobs with our id. If it has several, all but the oldest are cancelled."""
    found = provider.find_jobs(job.id, since, job.provider_training_file or "")
    for extra in found[1:]:
        log.error("the provider has a job twice", job_id=job.id, kept=found[0].id, cancelled=extra.id)
        try:
            provider.cancel_job(extra.id)
        except ProviderError as error:
            if error.retryable:
                raise
    return found


def status_of(provider_job: ProviderJob, now: JobStatus) -> JobStatus:
    """Return the job's status at the provider; for a status that we do not know, the present one."""
    return provider_job.status or now


def _saved(events: list[ProviderEvent]) -> bool:
    return any(event.saves_checkpoint for event in events)


def _optional(call: Callable[[str], list[ProviderCheckpoint]], id: str) -> list[ProviderCheckpoint]:
    """Return the checkpoints; none if the provider refuses them, since some providers have none."""
    try:
        return call(id)
    except ProviderError as error:
        if error.retryable:
            raise
        return []


def _results(provider: Provider, file_ids: Iterable[str]) -> list[Result]:
    """Copy result files here, so that they outlive the provider. A missing one does not hold the job up.

    The first is the curve of the job at every provider; further ones, such as weights, are named by the provider.
    """
    left, deadline = get_settings().max_result_bytes, time.monotonic() + MAX_COPY_SECONDS
    results = []
    for index, file_id in enumerate(file_ids):
        filename = METRICS_FILENAME if index == 0 else _name(provider, file_id)
        with files_up_to(left if index else MAX_FILE_BYTES):
            stored = _copy(provider, file_id, deadline)
        if stored is not None:
            results.append(Result(filename, stored))
            left = max(0, left - stored.bytes)
    return results


def _copy(provider: Provider, file_id: str, deadline: float) -> Stored | None:
    try:
        return store.store(datasets.new_dataset_id(), _in_time(provider.read_file(file_id), deadline))
    except ProviderError as error:
        if error.retryable:
            raise
        log.warning("a result file cannot be fetched", provider_file_id=file_id, code=error.code, reason=error.message)
        return None


def _in_time(chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """Raises `ProviderError` if it is too late for a chunk."""
    while time.monotonic() < deadline:
        if (chunk := next(chunks, None)) is None:
            return
        yield chunk
    sentence = f"the results of the job were not read within {MAX_COPY_SECONDS:g} s"
    raise ProviderError(sentence, "provider_timeout", retryable=False)


def _name(provider: Provider, file_id: str) -> str:
    """The provider's name for a file, if it gives one that a file of ours may have."""
    try:
        return datasets.clean_filename(provider.file_name(file_id))
    except Invalid:
        return METRICS_FILENAME
    except ProviderError as error:
        if error.retryable:
            raise
        return METRICS_FILENAME
