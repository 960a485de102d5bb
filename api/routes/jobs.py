"""`/v1/fine_tuning/jobs`: OpenAI's fine-tuning jobs, with event streams and metrics."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Header, Query
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api import reads
from api.auth.deps import After, CallerDep, SessionDep
from api.auth.scopes import scope
from api.http.answer import answer
from api.http.router import Router
from api.idempotency import IdempotentRoute
from api.rate_limits.middleware import count_rows
from api.reads import Within
from api.routes.filters import METADATA_PARAMETER, Conditions, job_filter
from api.streams.jobs import follow
from api.streams.wire import MEDIA_TYPE
from shared.database import transaction
from shared.db.owned import get_owned
from shared.db.pages import Page
from shared.jobs import metrics
from shared.jobs import service as jobs
from shared.jobs.elsewhere.alternatives import AlternativeList, alternatives
from shared.jobs.metrics import JobMetrics
from shared.jobs.models import Job, JobEvent, JobRequest
from shared.jobs.queue import slots
from shared.jobs.queue.slots import ModelLimit
from shared.jobs.schemas import CheckpointPublic, JobCreate, JobEventPublic, JobPublic
from shared.projects.callers import Caller

router = Router(
    prefix="/v1/fine_tuning/jobs", tags=["Fine-tuning"], route_class=IdempotentRoute, dependencies=[scope("jobs")]
)

limits_router = Router(tags=["Fine-tuning"], dependencies=[scope("jobs")])


@router.post("", response_model=JobPublic)
def create_job(session: SessionDep, caller: CallerDep, new: JobCreate) -> JobPublic:
    """Create a fine-tuning job.

    It is sent to the provider after its files are checked, when a slot is free there. Follow it by its `status`, its
    events or webhooks. Errors: 400 for invalid arguments or files, 403 for a model that the project may not use, 404
    for an unknown file, 429 if a limit of jobs or spending is reached.
    """
    return JobPublic.of(jobs.create(session, caller, new))


@router.get("", response_model=Page[JobPublic], openapi_extra={"parameters": [METADATA_PARAMETER]})
async def list_jobs(
    caller: CallerDep,
    where: Annotated[Conditions, Depends(job_filter)],
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """List the project's jobs, newest first. Filters of different names all apply."""
    rows = await reads.page(Job, caller.project_id, *where, after=after, limit=limit)
    return await reads.answer_page(rows, JobPublic.of, limit)


@router.get("/{fine_tuning_job_id}", response_model=JobPublic)
async def retrieve_job(caller: CallerDep, fine_tuning_job_id: str) -> Response:
    """Return a job."""
    return answer(JobPublic.of(await reads.one(Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id")))


@router.get("/{fine_tuning_job_id}/alternatives", response_model=AlternativeList)
def list_job_alternatives(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> AlternativeList:
    """List where else the job could run: each other base that the project could tune, with what would be different.

    `request` is the body of the create that does it: same data, the hyperparameters that mean the same there.
    """
    return AlternativeList(data=alternatives(session, caller, fine_tuning_job_id))


@router.post("/{fine_tuning_job_id}/cancel", response_model=JobPublic)
def cancel_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Cancel a job.

    A job at the provider becomes `cancelled` when the provider has confirmed it, any other at once. Errors: 400
    `invalid_job_status` if the job has ended.
    """
    return JobPublic.of(jobs.make_request(session, caller.project_id, fine_tuning_job_id, JobRequest.CANCEL))


@router.post("/{fine_tuning_job_id}/pause", response_model=JobPublic)
def pause_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Request a pause; the job becomes `paused` when the provider confirms it. Errors: 400 `invalid_job_status`."""
    return JobPublic.of(jobs.make_request(session, caller.project_id, fine_tuning_job_id, JobRequest.PAUSE))


@router.post("/{fine_tuning_job_id}/resume", response_model=JobPublic)
def resume_job(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> JobPublic:
    """Request that a paused job continues. Errors: 400 `invalid_job_status`."""
    return JobPublic.of(jobs.make_request(session, caller.project_id, fine_tuning_job_id, JobRequest.RESUME))


@limits_router.get("/v1/fine_tuning/model_limits", response_model=dict[str, ModelLimit])
def list_model_limits(session: SessionDep, caller: CallerDep) -> dict[str, ModelLimit]:
    """Return, by the name of each base model, how many of the project's jobs may be at the provider at once.

    More jobs than that wait in the queue; none is refused. `max_concurrent_jobs` is null where no limit is known.
    """
    return slots.model_limits(session, caller.project_id)


_AS_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
    204: {"description": "For a stream: the job has ended and everything has been sent; do not reconnect"},
}


@router.get("/{fine_tuning_job_id}/events", response_model=Page[JobEventPublic], responses=_AS_STREAM)
async def list_job_events(
    request: Request,
    caller: CallerDep,
    fine_tuning_job_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Response:
    """List a job's events, newest first. Events of type `metrics` have the losses in `data`.

    With `Accept: text/event-stream`, the response is a stream. It sends all events from the oldest on, and then new
    ones as they happen, as `fine_tuning.job.event`. It sends the job at the beginning and whenever its status changes,
    as `fine_tuning.job`, and ends after the job has ended. With `Last-Event-ID` it continues after that event: pass the
    newest event's id to get only new ones. Each event is sent at least once; after a reconnection, events of the last
    ten seconds may be repeated. `after` and `limit` apply to the list only.
    """
    if MEDIA_TYPE in request.headers.get("accept", ""):
        return await run_in_threadpool(_stream, request, caller, fine_tuning_job_id, last_event_id)
    of_job = Within(JobEvent.job_id, Job, fine_tuning_job_id, "fine_tuning_job_id")
    rows = await reads.page(JobEvent, caller.project_id, after=after, limit=limit, within=of_job)
    count_rows(request, min(len(rows), limit))
    return await reads.answer_page(rows, JobEventPublic.of, limit)


def _stream(request: Request, caller: Caller, job_id: str, last: str | None) -> Response:
    with transaction(caller.project_id) as session:
        job = get_owned(session, Job, job_id, caller.project_id, param="fine_tuning_job_id")
        # A browser reconnects whenever a stream ends; a 204 is how server-sent events tell it to stop.
        if last == job.id and job.status.is_final:
            return Response(status_code=204)
        if last:
            get_owned(session, JobEvent, last, job.project_id, JobEvent.job_id == job.id, param="Last-Event-ID")
    return follow(request, caller, job, last)


@router.get("/{fine_tuning_job_id}/checkpoints", response_model=Page[CheckpointPublic])
def list_job_checkpoints(
    session: SessionDep,
    caller: CallerDep,
    fine_tuning_job_id: str,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Page[CheckpointPublic]:
    """List the checkpoints of a job, the newest step first. Each can be used as a model."""
    rows = jobs.list_checkpoints(session, caller.project_id, fine_tuning_job_id, after=after, limit=limit)
    return Page.of([CheckpointPublic.of(row) for row in rows], limit)


@router.get("/{fine_tuning_job_id}/metrics", response_model=JobMetrics)
def retrieve_job_metrics(
    session: SessionDep,
    caller: CallerDep,
    fine_tuning_job_id: str,
    resolution: Annotated[int, Query(ge=2, le=10_000)] = 500,
) -> JobMetrics:
    """Return losses and accuracies by step, at most `resolution` points; the extremes of a curve are kept."""
    job = get_owned(session, Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id")
    return metrics.thinned(session, job.id, resolution)


_AS_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get("/{fine_tuning_job_id}/result.csv", response_class=StreamingResponse, responses=_AS_CSV)
def retrieve_job_result(session: SessionDep, caller: CallerDep, fine_tuning_job_id: str) -> StreamingResponse:
    """Return the metrics of every step so far as CSV, with the columns of OpenAI's result file.

    It works while the job is running. The provider's own file is the content of the job's first result file.
    """
    job = get_owned(session, Job, fine_tuning_job_id, caller.project_id, param="fine_tuning_job_id")
    headers = {"content-disposition": f'attachment; filename="{job.id}.csv"'}
    return StreamingResponse(_result(job.project_id, job.id), media_type="text/csv", headers=headers)


def _result(project_id: str, job_id: str) -> Iterator[str]:
    """Yield pages, each read in its own transaction: a client that reads slowly must not hold a connection."""
    yield metrics.csv_lines([metrics.RESULT_COLUMNS])
    after: str | None = ""
    while after is not None:
        with transaction(project_id) as session:
            rows = metrics.result_rows(session, job_id, after)
        yield metrics.csv_lines(cells for _, cells in rows)
        after = rows[-1][0] if len(rows) == metrics.ROWS_PER_FETCH else None
