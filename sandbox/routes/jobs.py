"""`/v1/fine_tuning/jobs`: make a job, look after it, and stop it."""

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
    """The job with its life, or OpenAI's 404."""
    if run := state.runs.get(job_id):
        return run
    raise ApiError(404, f"Could not find fine tune: {job_id}", code="fine_tune_not_found", param="fine_tune_id")


@router.post("/jobs")
async def create_job(new: JobCreate, request: Request, state: StateDep) -> Response:
    """Make a job. What can be refused is refused at once (`admission`); bad files end it later, as part of its life."""
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
    """Jobs, newest first. One made less than `list_lag` seconds ago is not there yet."""
    wanted, now = metadata_filter(request.query_params), state.now()
    jobs = [run.job for run in state.runs.values() if run.visible_at <= now and wanted(run.job.metadata)]
    return list_answer(*cut(jobs[::-1], after, limit))


@router.get("/jobs/{job_id}")
async def retrieve_job(job_id: str, state: StateDep) -> Response:
    return answer(find(state, job_id).job)


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(job_id: str, state: StateDep) -> Response:
    """Stop a job for good. One that has ended is refused: 400."""
    run = find(state, job_id)
    if run.job.status in FINAL:
        raise ApiError(400, f"The job {job_id} has already {run.job.status} and cannot be cancelled.")
    run.clock = state.now()
    simulation.cancel(run)
    return answer(run.job)


@router.post("/jobs/{job_id}/pause")
async def pause_job(job_id: str, state: StateDep) -> Response:
    """Interrupt a running job. Its status is `paused`: in OpenAI's guides, and not in its SDK's strict mode."""
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
    """Places per base model: jobs a day, jobs at once, and those taken. OpenAI documents the route, not its shape."""
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
