"""`/v1/fine_tuning`: creates, lists, retrieves, cancels, pauses and resumes jobs; their events, checkpoints, limits."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from sandbox.errors import ApiError
from sandbox.faults.armed import armed_job_error
from sandbox.models import BASES
from sandbox.records import ACTIVE, FINAL
from sandbox.routes.job_admission import admit
from sandbox.routes.job_requests import JobCreate
from sandbox.routes.metadata_filter import metadata_filter
from sandbox.routes.pages import After, Limit, cut
from sandbox.runs import Run
from sandbox.state import State, StateDep
from sandbox.training import simulation
from sandbox.wire import answer, list_answer, list_answer_with_ends

router = APIRouter(prefix="/v1/fine_tuning")


def find(state: State, job_id: str) -> Run:
    """Raises ApiError 404, in OpenAI's words, if there is no such job."""
    if run := state.runs.get(job_id):
        return run
    raise ApiError(404, f"Could not find fine tune: {job_id}", code="fine_tune_not_found", param="fine_tune_id")


@router.post("/jobs")
async def create_job(new: JobCreate, request: Request, state: StateDep) -> Response:
    """Creates a job. `admit` raises what OpenAI refuses at once; bad files fail the job later, while it validates."""
    run = admit(state, new)
    run.armed_error = armed_job_error(request.scope)
    run.visible_at += state.list_lag
    state.runs[run.id] = run
    simulation.begin(run, state)
    return answer(run.job)


@router.get("/jobs")
async def list_jobs(
    request: Request, state: StateDep, after: After = None, limit: Annotated[int, Query(ge=0, le=10_000)] = 20
) -> Response:
    """Jobs, newest first; those created less than `list_lag` seconds ago are missing."""
    wanted, now = metadata_filter(request.query_params), state.now()
    jobs = [run.job for run in state.runs.values() if run.visible_at <= now and wanted(run.job.metadata)]
    return list_answer(*cut(jobs[::-1], after, limit))


@router.get("/jobs/{job_id}")
async def retrieve_job(job_id: str, state: StateDep) -> Response:
    return answer(find(state, job_id).job)


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, state: StateDep) -> Response:
    """Cancels a job. Raises ApiError 400 if it has ended."""
    run = find(state, job_id)
    if run.job.status in FINAL:
        raise ApiError(400, f"The job {job_id} has already {run.job.status} and cannot be cancelled.")
    run.clock = state.now()
    simulation.cancel(run)
    return answer(run.job)


@router.post("/jobs/{job_id}/pause")
async def pause_job(job_id: str, state: StateDep) -> Response:
    """Pauses a running job. The status `paused` is in OpenAI's guides, but not among the statuses of its SDK."""
    run = find(state, job_id)
    _expect(run, "running", "paused")
    simulation.pause(run, state, state.now())
    return answer(run.job)


@router.post("/jobs/{job_id}/resume")
async def resume_job(job_id: str, state: StateDep) -> Response:
    run = find(state, job_id)
    _expect(run, "paused", "resumed")
    simulation.resume(run, state.now())
    return answer(run.job)


def _expect(run: Run, status: str, done: str) -> None:
    if run.job.status != status:
        raise ApiError(400, f"The job {run.id} is {run.job.status}; only a {status} job can be {done}.")


@router.get("/jobs/{job_id}/events")
async def list_events(job_id: str, state: StateDep, after: After = None, limit: Limit = 20) -> Response:
    return list_answer(*cut(find(state, job_id).events[::-1], after, limit))


@router.get("/jobs/{job_id}/checkpoints")
async def list_checkpoints(job_id: str, state: StateDep, after: After = None, limit: Limit = 10) -> Response:
    return list_answer_with_ends(*cut(find(state, job_id).checkpoints[::-1], after, limit))


@router.get("/model_limits")
async def model_limits(state: StateDep) -> Response:
    """Per base model the jobs per day, the slots and the slots in use. OpenAI documents the route but not its body."""
    tunable = {base.id for base in BASES.values() if base.methods}
    return answer({base: _limits(state, base) for base in sorted(tunable)})


def _limits(state: State, base: str) -> dict[str, int]:
    active = sum(run.base == base and run.job.status in ACTIVE for run in state.runs.values())
    settings = state.settings
    return {
        "max_total_jobs": settings.max_jobs_per_day,
        "max_concurrent_jobs": settings.max_active_jobs_per_model,
        "active_jobs": active,
    }
