"""`/v1/fine_tuning/jobs`: the work."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from sqlmodel import Session
from starlette.requests import Request

from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.idempotency import IdempotentRoute
from api.streams.events import MEDIA_TYPE
from api.streams.jobs import follow
from shared.database import transaction
from shared.db.owned import get_owned
from shared.db.pages import Page
from shared.errors import Invalid
from shared.jobs import metrics
from shared.jobs import service as jobs
from shared.jobs.metrics import JobMetrics
from shared.jobs.models import Job, JobEvent, JobRequest
from shared.jobs.schemas import CheckpointPublic, JobCreate, JobEventPublic, JobPublic

router = APIRouter(
    prefix="/v1/fine_tuning/jobs", tags=["Fine-tuning"], route_class=IdempotentRoute, dependencies=[scope("jobs")]
)


@router.post("", response_model=JobPublic)
def create_job(session: SessionDep, caller: CallerDep, new: JobCreate) -> JobPublic:
    """Accept a job. It goes to the provider as soon as its files are checked; `status` and events tell how it is."""
    return JobPublic.of(jobs.create(session, caller, new))


_METADATA = re.compile(r"metadata\[(.*)\]", re.DOTALL)


def _metadata(request: Request) -> dict[str, str] | Literal["null"] | None:
    """`metadata[k]=v` for each pair that a job must carry; `metadata=null` for jobs that carry none."""
    pairs = {match[1]: value for name, value in request.query_params.items() if (match := _METADATA.fullmatch(name))}
    plain = request.query_params.get("metadata")
    if plain not in {None, "null"} or (plain and pairs):
        raise Invalid("Use metadata[key]=value, or metadata=null for jobs without any", param="metadata")
    return "null" if plain else pairs or None


@router.get("", response_model=Page[JobPublic])
def list_jobs(
    request: Request,
    session: SessionDep,
    caller: CallerDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Page[JobPublic]:
    """The project's jobs, newest first.

    `metadata[k]=v` keeps those that carry the pair, `metadata=null` those that carry none.
    """
    rows = jobs.list_jobs(session, caller.project_id, after=after, limit=limit, metadata=_metadata(request))
    return Page.of([JobPublic.of(row) for row in rows], limit)


@router.get("/{fine_tuning_job_id}", response_model=JobPublic)
def retrieve_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """A job as it is now."""
    return JobPublic.of(get_owned(session, Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id"))


@router.post("/{fine_tuning_job_id}/cancel", response_model=JobPublic)
def cancel_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Cancel a job that has not ended. If the provider has it already, it is `cancelled` once the provider says so."""
    return JobPublic.of(jobs.ask(session, caller.project_id, fine_tuning_job_id, JobRequest.CANCEL))


@router.post("/{fine_tuning_job_id}/pause", response_model=JobPublic)
def pause_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Ask for a pause; the job is `paused` once the provider says so."""
    return JobPublic.of(jobs.ask(session, caller.project_id, fine_tuning_job_id, JobRequest.PAUSE))


@router.post("/{fine_tuning_job_id}/resume", response_model=JobPublic)
def resume_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Ask for a paused job to go on."""
    return JobPublic.of(jobs.ask(session, caller.project_id, fine_tuning_job_id, JobRequest.RESUME))


_AS_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
    204: {"description": "Of a stream: the job has ended, and all of it was sent before"},
}


@router.get("/{fine_tuning_job_id}/events", response_model=Page[JobEventPublic], responses=_AS_STREAM)
def list_job_events(
    request: Request,
    session: SessionDep,
    caller: CallerDep,
    fine_tuning_job_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Page[JobEventPublic] | Response:
    """What happened, newest first; events of type `metrics` have the losses in `data`.

    With `Accept: text/event-stream` all events come from the oldest on, and then as they happen, as
    `fine_tuning.job.event`; the job comes at the beginning and whenever its status changes, as `fine_tuning.job`. The
    stream ends with the job that has ended. With `Last-Event-ID` it goes on after that event: give the newest event's
    id to see only what comes. Each event comes at least once; those of the ten seconds before a reconnection may come
    again. `after` and `limit` are for the list.
    """
    if MEDIA_TYPE in request.headers.get("accept", ""):
        job = get_owned(session, Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id")
        return _stream(session, request, job, last_event_id)
    rows = jobs.list_events(session, caller.project_id, fine_tuning_job_id, after=after, limit=limit)
    return Page.of([JobEventPublic.of(row) for row in rows], limit)


def _stream(session: Session, request: Request, job: Job, last: str | None) -> Response:
    """A browser comes back whenever a stream ends, unless it is told that there is nothing left."""
    if last == job.id and job.status.is_final:
        return Response(status_code=204)
    if last:
        get_owned(session, JobEvent, last, job.project_id, JobEvent.job_id == job.id, param="Last-Event-ID")
    return follow(request, job, last)


@router.get("/{fine_tuning_job_id}/checkpoints", response_model=Page[CheckpointPublic])
def list_job_checkpoints(
    session: SessionDep,
    caller: CallerDep,
    fine_tuning_job_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Page[CheckpointPublic]:
    """Models saved on the way, the newest step first."""
    rows = jobs.list_checkpoints(session, caller.project_id, fine_tuning_job_id, after=after, limit=limit)
    return Page.of([CheckpointPublic.of(row) for row in rows], limit)


@router.get("/{fine_tuning_job_id}/metrics", response_model=JobMetrics)
def retrieve_job_metrics(
    session: SessionDep,
    caller: CallerDep,
    fine_tuning_job_id: str,
    resolution: Annotated[int, Query(ge=2, le=10_000)] = 500,
) -> JobMetrics:
    """The losses and accuracies of the training, from the first step on: at most `resolution` points, extremes kept."""
    job = get_owned(session, Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id")
    return metrics.thinned(session, job.id, resolution)


_AS_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get("/{fine_tuning_job_id}/result.csv", response_class=StreamingResponse, responses=_AS_CSV)
def retrieve_job_result(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> StreamingResponse:
    """The metrics of every step so far, in the columns of OpenAI's result file, also before there is such a file.

    The file as the provider made it is the content of the job's first result file.
    """
    job = get_owned(session, Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id")
    headers = {"content-disposition": f'attachment; filename="{job.id}.csv"'}
    return StreamingResponse(_result(job.project_id, job.id), media_type="text/csv", headers=headers)


def _result(project_id: str, job_id: str) -> Iterator[str]:
    """In pages, each in a transaction of its own: who reads slowly holds no connection to Postgres."""
    yield metrics.csv_lines([metrics.RESULT_COLUMNS])
    after: str | None = ""
    while after is not None:
        with transaction(project_id) as session:
            rows = metrics.result_rows(session, job_id, after)
        yield metrics.csv_lines(cells for _, cells in rows)
        after = rows[-1][0] if len(rows) == metrics.AT_ONCE else None
