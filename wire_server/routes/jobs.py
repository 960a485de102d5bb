"""`/v1/fine_tuning`: creates, lists, retrieves, cancels, pauses and resumes jobs; their events, checkpoints, limits."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from wire_server.answers import answer, list_answer, list_answer_with_ends
from wire_server.errors import ApiError
from wire_server.job_requests import JobCreate
from wire_server.pages import After, Limit, cut
from wire_server.routes.metadata_filter import metadata_filter
from wire_server.run import Run
from wire_server.state import State, StateDep

router = APIRouter(prefix="/v1/fine_tuning")


def find(state: State, job_id: str) -> Run:
    """Raises ApiError 404, in OpenAI's words, if there is no such job."""
    if run := state.runs.get(job_id):
        return run
    raise ApiError(404, f"Could not find fine tune: {job_id}", code="fine_tune_not_found", param="fine_tune_id")


@router.post("/jobs")
async def create_job(new: JobCreate, request: Request, state: StateDep) -> Response:
    return answer((await state.create_job(new, request.scope)).job)


@router.get("/jobs")
async def list_jobs(
    request: Request, state: StateDep, after: After = None, limit: Annotated[int, Query(ge=0, le=10_000)] = 20
) -> Response:
    """Jobs, newest first."""
    wanted = metadata_filter(request.query_params)
    jobs = [job for job in await state.listed_jobs() if wanted(job.metadata)]
    return list_answer(*cut(jobs[::-1], after, limit))


@router.get("/jobs/{job_id}")
async def retrieve_job(job_id: str, state: StateDep) -> Response:
    return answer(find(state, job_id).job)


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, state: StateDep) -> Response:
    """Cancels a job. Raises ApiError 400 if it has ended."""
    run = find(state, job_id)
    if run.is_over:
        raise ApiError(400, f"The job {job_id} has already {run.job.status} and cannot be cancelled.")
    state.cancel(run)
    return answer(run.job)


@router.post("/jobs/{job_id}/pause")
async def pause_job(job_id: str, state: StateDep) -> Response:
    """Pauses a running job. The status `paused` is in OpenAI's guides, but not among the statuses of its SDK."""
    run = find(state, job_id)
    _expect(run, "running", "paused")
    state.pause(run)
    return answer(run.job)


@router.post("/jobs/{job_id}/resume")
async def resume_job(job_id: str, state: StateDep) -> Response:
    run = find(state, job_id)
    _expect(run, "paused", "resumed")
    state.resume(run)
    return answer(run.job)


def _expect(run: Run, status: str, done: str) -> None:
    if run.job.status != status:
        raise ApiError(400, f"The job {run.job.id} is {run.job.status}; only a {status} job can be {done}.")


@router.get("/jobs/{job_id}/events")
async def list_events(job_id: str, state: StateDep, after: After = None, limit: Limit = 20) -> Response:
    return list_answer(*find(state, job_id).events_page(after, limit))


@router.get("/jobs/{job_id}/checkpoints")
async def list_checkpoints(job_id: str, state: StateDep, after: After = None, limit: Limit = 10) -> Response:
    return list_answer_with_ends(*cut(find(state, job_id).checkpoints[::-1], after, limit))


@router.get("/model_limits")
async def model_limits(state: StateDep) -> Response:
    """Per base model the jobs per day, the slots and the slots in use. OpenAI documents the route but not its body."""
    return answer(state.model_limits())
