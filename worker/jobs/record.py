"""How what a look at a provider's job shows is written down: events, checkpoints, results, status."""

from collections.abc import Callable
from typing import Any

from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from shared.datasets.models import Dataset, DatasetStatus, ProviderFile, Purpose
from shared.datasets.storage.store import Stored
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.jobs.models import Checkpoint, Job, JobEvent, JobStatus, Level, TunedModel
from shared.jobs.schemas import CheckpointPublic, progress
from shared.jobs.spending import costs
from shared.webhooks import service as webhooks
from shared.webhooks.event_types import EventType
from worker.jobs.poll import Seen, status_of
from worker.providers import sanitize
from worker.providers.hints import with_hint

RESULT_FILENAME = "step_metrics.csv"


def record_seen(session: Session, job: Job, seen: Seen) -> None:
    """Write down everything new in one transaction, and the status after what it tells of; nothing leaves a final one.

    Of several tenths of its progress since the last look only the newest is told.
    """
    in_our_words = translator(session, job)
    before = progress(job) or 0.0
    _add_events(session, job, seen.events, in_our_words)
    _add_checkpoints(session, job, seen.checkpoints)
    if seen.job is not None:
        _record_status(session, job, seen.job, seen.results, in_our_words)
    if not job.status.is_final and int(10 * (progress(job) or 0.0)) > int(10 * before):
        jobs.tell(session, job, EventType.JOB_PROGRESSED)


def _record_status(
    session: Session,
    job: Job,
    provider_job: FineTuningJob,
    results: list[Stored],
    in_our_words: Callable[[str], str],
) -> None:
    _copy_facts(job, provider_job)
    status = status_of(provider_job, job.status)
    if status is JobStatus.SUCCEEDED:
        _add_model(session, job)
        costs.note_cost(job)
    if status.is_final:
        _add_results(session, job, results)
    if status is JobStatus.FAILED:
        job.error = _error(provider_job, in_our_words)
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


def _add_events(
    session: Session, job: Job, events: list[FineTuningJobEvent], in_our_words: Callable[[str], str]
) -> None:
    if not events:
        return
    rows = [
        JobEvent(
            created_at=sanitize.time(event.created_at) or utc_now(),
            project_id=job.project_id,
            job_id=job.id,
            provider_event_id=sanitize.text(event.id),
            level=Level(event.level) if str(event.level) in set(Level) else Level.INFO,
            type=sanitize.text(event.type or "message"),
            message=in_our_words(sanitize.text(event.message)),
            data=sanitize.json_object(event.data),
        ).model_dump()
        for event in events
    ]
    new = insert(JobEvent).on_conflict_do_nothing(index_elements=["job_id", "provider_event_id"])
    session.exec(new, params=rows)  # a single statement with all the values holds some 7,000 rows at most
    job.last_provider_event_id = rows[-1]["provider_event_id"]
    for row in rows:
        data = row["data"] or {}
        job.step = sanitize.number(data.get("step"), job.step)
        job.total_steps = sanitize.number(data.get("total_steps"), job.total_steps)


def _add_checkpoints(session: Session, job: Job, checkpoints: list[FineTuningJobCheckpoint]) -> None:
    for checkpoint in checkpoints:
        model, step_number = (
            sanitize.some_text(checkpoint.fine_tuned_model_checkpoint),
            sanitize.number(checkpoint.step_number),
        )
        if model is None or step_number is None:
            continue
        row = Checkpoint(
            created_at=sanitize.time(checkpoint.created_at) or utc_now(),
            project_id=job.project_id,
            job_id=job.id,
            provider_checkpoint_id=sanitize.text(checkpoint.id),
            model=model,
            step_number=step_number,
            metrics=_metrics(checkpoint),
        )
        new = insert(Checkpoint).values(**row.model_dump()).on_conflict_do_nothing().returning(col(Checkpoint.id))
        if session.exec(new).first() is not None:
            made = CheckpointPublic.of(row).model_dump(mode="json")
            webhooks.emit(session, job.project_id, EventType.JOB_CHECKPOINT_CREATED, made)


def _metrics(checkpoint: FineTuningJobCheckpoint) -> dict[str, Any]:
    metrics = sanitize.json_object(checkpoint.to_dict(warnings=False).get("metrics"))
    return {name: value for name, value in (metrics or {}).items() if value is not None}


def _copy_facts(job: Job, seen: FineTuningJob) -> None:
    now = seen.to_dict(warnings=False)
    job.provider_status, job.trained_tokens, job.fine_tuned_model = sanitize.facts(now)
    job.model = sanitize.some_text(now.get("model")) or job.model
    job.estimated_finish_at = sanitize.time(now.get("estimated_finish"))
    job.finished_at = sanitize.time(now.get("finished_at"))
    if (seed := sanitize.number(now.get("seed"))) is not None:
        job.seed = seed
    _note_hyperparameters(job, now.get("hyperparameters"))
    method = now.get("method")
    block = method.get(str(method.get("type"))) if isinstance(method, dict) else None
    _note_hyperparameters(job, block.get("hyperparameters") if isinstance(block, dict) else None)


def _note_hyperparameters(job: Job, taken: object) -> None:
    """What the provider has taken; the method stays as it was asked for, with its `auto`."""
    known = {name: value for name, value in (sanitize.json_object(taken) or {}).items() if value}
    job.hyperparameters = {**job.hyperparameters, **known}


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


def _add_results(session: Session, job: Job, results: list[Stored]) -> None:
    for result in results:
        dataset = Dataset(
            id=result.id,
            project_id=job.project_id,
            filename=RESULT_FILENAME,
            bytes=result.bytes,
            sha256=result.sha256,
            purpose=Purpose.FINE_TUNE_RESULTS,
            status=DatasetStatus.PROCESSED,
            due_at=None,
        )
        session.add(dataset)
    job.result_files = [result.id for result in results]


def _error(seen: FineTuningJob, in_our_words: Callable[[str], str]) -> dict[str, Any]:
    """The provider's reason; some send an empty one."""
    error = sanitize.json_object(seen.to_dict(warnings=False).get("error")) or {}
    code = sanitize.some_text(error.get("code")) or "provider_job_failed"
    message = sanitize.some_text(error.get("message")) or "The provider gave no reason"
    return {
        "code": code,
        "message": with_hint(code, in_our_words(message)),
        "param": sanitize.some_text(error.get("param")),
    }
