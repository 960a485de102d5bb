"""Records what a poll of a job has shown: events, checkpoints, results, status."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import String, any_, literal, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import Session, col, select

from shared.datasets.models import Dataset, DatasetStatus, ProviderFile, Purpose
from shared.db.times import utc_now
from shared.deployments import on_success
from shared.jobs import metrics
from shared.jobs import service as jobs
from shared.jobs.models import Checkpoint, Job, JobEvent, JobStatus, TunedModel
from shared.jobs.schemas import CheckpointPublic, progress
from shared.jobs.spending import costs
from shared.notifications import events
from shared.webhooks.event_types import EventType
from worker.jobs.fetch import Result, Seen, status_of
from worker.providers import sanitize
from worker.providers.hints import with_hint
from worker.providers.protocol import JobError, ProviderCheckpoint, ProviderEvent, ProviderJob


def record_seen(session: Session, job: Job, seen: Seen) -> bool:
    """Record everything new in one transaction, and the status last, since nothing leaves a final status.

    Emits one event of progress, also if several tenths were passed since the last poll. Returns whether there was a new
    event of the provider.
    """
    in_our_words = translator(session, job)
    before = progress(job) or 0.0
    new = _unrecorded(session, job, seen.events)
    _add_events(session, job, new, in_our_words)
    _add_checkpoints(session, job, seen.checkpoints)
    if seen.job is not None:
        _record_status(session, job, seen.job, seen.results, in_our_words)
    if not job.status.is_final and int(10 * (progress(job) or 0.0)) > int(10 * before):
        jobs.notify(session, job, EventType.JOB_PROGRESSED)
    return bool(new)


def _record_status(
    session: Session,
    job: Job,
    provider_job: ProviderJob,
    results: list[Result],
    in_our_words: Callable[[str], str],
) -> None:
    _copy_facts(job, provider_job)
    status = status_of(provider_job, job.status)
    if status is JobStatus.SUCCEEDED:
        _add_model(session, job)
        if not job.status.is_final:
            on_success.deploy(session, job)  # before the job is settled, which locks the budget
        costs.note_cost(job, provider_job.cost)
    if status.is_final:
        _add_results(session, job, results)
    if status is JobStatus.FAILED:
        job.error = _error(provider_job.error, in_our_words)
    jobs.move(session, job, status)


def translator(session: Session, job: Job) -> Callable[[str], str]:
    """Put our ids where the provider's sentences have its own: those are the ones that a caller can use."""
    files = select(ProviderFile.provider_file_id, ProviderFile.dataset_id).where(
        ProviderFile.credential_id == job.credential_id,
        col(ProviderFile.dataset_id).in_([job.training_file, job.validation_file]),
    )
    ours = {theirs: own for theirs, own in session.exec(files) if theirs}
    ours[job.provider_job_id or ""] = job.id

    def in_our_words(sentence: str) -> str:
        for theirs, own in ours.items():
            sentence = sentence.replace(theirs, own) if theirs else sentence
        return sentence

    return in_our_words


def _unrecorded(session: Session, job: Job, events: list[ProviderEvent]) -> list[ProviderEvent]:
    """Those that are new here. A provider whose list grows in its middle shows all each time."""
    given = any_(literal([event.id for event in events], ARRAY(String)))
    query = select(JobEvent.provider_event_id).where(
        JobEvent.job_id == job.id, col(JobEvent.provider_event_id) == given
    )
    known = set(session.exec(query)) if events else set()
    return [event for event in events if event.id not in known]


def _add_events(session: Session, job: Job, events: list[ProviderEvent], in_our_words: Callable[[str], str]) -> None:
    if not events:
        return
    rows = [
        JobEvent(
            created_at=event.created_at or utc_now(),
            project_id=job.project_id,
            job_id=job.id,
            provider_event_id=event.id,
            level=event.level,
            type=event.type,
            message=in_our_words(event.message),
            data=event.data,
        ).model_dump()
        for event in events
    ]
    new = insert(JobEvent).on_conflict_do_nothing(index_elements=["job_id", "provider_event_id"])
    session.exec(new, params=rows)  # one INSERT with all values takes some 7,000 rows at most
    job.last_provider_event_id = rows[-1]["provider_event_id"]
    metrics.note(job, [row["data"] for row in rows if row["type"] == "metrics" and row["data"]])
    for row in rows:
        data = row["data"] or {}
        job.step = max(job.step or 0, sanitize.number(data.get("step"), 0) or 0) or job.step  # an event may come late
        job.total_steps = sanitize.number(data.get("total_steps"), job.total_steps)


def _add_checkpoints(session: Session, job: Job, checkpoints: list[ProviderCheckpoint]) -> None:
    for checkpoint in checkpoints:
        row = Checkpoint(
            created_at=checkpoint.created_at or utc_now(),
            project_id=job.project_id,
            job_id=job.id,
            provider_checkpoint_id=checkpoint.id,
            model=checkpoint.model,
            step_number=checkpoint.step_number,
            metrics=checkpoint.metrics,
        )
        new = insert(Checkpoint).values(**row.model_dump()).on_conflict_do_nothing().returning(col(Checkpoint.id))
        if session.exec(new).first() is not None:
            made = CheckpointPublic.of(row).model_dump(mode="json")
            events.emit(session, job.project_id, EventType.JOB_CHECKPOINT_CREATED, made)
    if checkpoints:  # an empty list is also what a provider without checkpoints gives
        _expire_checkpoints(session, job, [checkpoint.id for checkpoint in checkpoints])


def _expire_checkpoints(session: Session, job: Job, listed: list[str]) -> None:
    """Note which checkpoints the provider has dropped: it lists all that it keeps."""
    is_dropped = col(Checkpoint.provider_checkpoint_id).not_in(listed)
    query = update(Checkpoint).where(col(Checkpoint.job_id) == job.id, is_dropped, col(Checkpoint.expired_at).is_(None))
    session.exec(query.values(expired_at=utc_now()))


def _copy_facts(job: Job, seen: ProviderJob) -> None:
    """`hyperparameters` become those that the provider uses; `method` stays as the caller wrote it, with its `auto`."""
    job.provider_status, job.trained_tokens, job.fine_tuned_model = seen.facts
    job.model = seen.model or job.model
    job.estimated_finish_at, job.finished_at = seen.estimated_finish, seen.finished_at
    job.seed = job.seed if seen.seed is None else seen.seed
    job.hyperparameters = {**job.hyperparameters, **seen.hyperparameters}


def _add_model(session: Session, job: Job) -> None:
    if job.fine_tuned_model is None:
        return
    model = TunedModel(
        project_id=job.project_id,
        job_id=job.id,
        credential_id=job.credential_id,
        name=job.fine_tuned_model,
        base_model=job.model,
        due_at=None,
    )
    session.exec(insert(TunedModel).values(**model.model_dump()).on_conflict_do_nothing())


def _add_results(session: Session, job: Job, results: list[Result]) -> None:
    for result in results:
        dataset = Dataset(
            id=result.stored.id,
            project_id=job.project_id,
            filename=result.filename,
            bytes=result.stored.bytes,
            sha256=result.stored.sha256,
            purpose=Purpose.FINE_TUNE_RESULTS,
            status=DatasetStatus.PROCESSED,
            due_at=None,
        )
        session.add(dataset)
    job.result_files = [result.stored.id for result in results]


def _error(error: JobError | None, in_our_words: Callable[[str], str]) -> dict[str, Any]:
    """The provider's reason; some give none."""
    error = error or JobError(None, None, None)
    code = error.code or "provider_job_failed"
    message = in_our_words(error.message or "The provider gave no reason")
    return {"code": code, "message": with_hint(code, message), "param": error.param}
