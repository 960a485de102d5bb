"""`/sandbox/…`: controls for tests: arm faults, move jobs to a status or step, count calls, send webhooks."""

from copy import deepcopy
from typing import Annotated, Literal

from fastapi import APIRouter
from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from sandbox import webhooks
from sandbox.faults.armed import ArmedJobError, Fault
from sandbox.runs import Run
from sandbox.state import SandboxDep, SandboxState
from sandbox.training import simulation
from wire_server.answers import answer
from wire_server.errors import ApiError
from wire_server.records import JobError
from wire_server.routes import jobs

DEFAULT_ERROR = JobError(code="server_error", message="The job failed due to an internal error.")

STATUS_ORDER = ("validating_files", "queued", "running", "succeeded")
"""The statuses of a job that is not interrupted."""

router = APIRouter(prefix="/sandbox")


class Move(BaseModel):
    """The status or the training step that a job reaches at once.

    Everything before it happens too, events and checkpoints included. The job then stays there, unless `hold` is
    false. `error` is the reason of a job that becomes `failed`.
    """

    model_config = ConfigDict(extra="forbid")

    status: Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"] | None = None
    step: Annotated[int | None, Field(ge=1)] = None
    error: ArmedJobError | None = None
    hold: bool = True


class Copies(BaseModel):
    count: Annotated[int, Field(ge=1, le=20_000)]


class ListLag(BaseModel):
    seconds: Annotated[float, Field(ge=0)]


@router.post("/faults")
async def arm_fault(fault: Fault, state: SandboxDep) -> Response:
    """Arms a fault (`sandbox.faults.armed.Fault`)."""
    state.faults.append(fault)
    return answer(fault.model_dump())


@router.get("/faults")
async def list_faults(state: SandboxDep) -> Response:
    """Faults that still apply to calls."""
    return answer({"object": "list", "data": [fault.model_dump() for fault in state.faults]})


@router.delete("/faults")
async def disarm_faults(state: SandboxDep) -> Response:
    state.faults.clear()
    return answer({"deleted": True})


def _find(state: SandboxState, job_id: str) -> Run:
    run = jobs.find(state, job_id)
    assert isinstance(run, Run)
    return run


@router.post("/jobs/{job_id:path}/copies")
async def copy_job(job_id: str, copies: Copies, state: SandboxDep) -> Response:
    """Makes copies of a job that have its status and stay in it; no limit applies.

    Returns for each copy its id, the id of its newest event, and its estimated finish.
    """
    run = _find(state, job_id)
    made = [_copy(run, state) for _ in range(copies.count)]
    data = [
        {"id": copy.id, "newest_event": copy.events[-1].id, "estimated_finish": copy.job.estimated_finish}
        for copy in made
    ]
    return answer({"object": "list", "data": data})


def _copy(run: Run, state: SandboxState) -> Run:
    now = state.now()
    job = structs.replace(
        run.job,
        id=state.copied_id(run),
        created_at=int(now),
        status="validating_files",
        method=deepcopy(run.job.method),
    )
    copy = state.runs[job.id] = Run(job, run.base, run.training, run.validation, now)
    copy.is_held = True
    simulation.begin(copy, state)
    _hurry_to(copy, run.job.status, now)
    return copy


@router.post("/jobs/{job_id:path}")
async def move_job(job_id: str, move: Move, state: SandboxDep) -> Response:
    run = _find(state, job_id)
    if run.is_over:
        raise ApiError(400, f"The job {job_id} has already {run.job.status}.")
    run.is_held = move.hold
    if move.step is not None:
        _move_to_step(run, move.step, state.now())
    if move.status is not None:
        _move(run, move, state)
    return answer(run.job)


def _move(run: Run, move: Move, state: SandboxState) -> None:
    now = run.clock = state.now()
    if move.status == "failed":
        run.fail(move.error.record() if move.error else DEFAULT_ERROR)
    elif move.status == "cancelled":
        run.cancel()
    elif move.status != "paused":
        _hurry_to(run, str(move.status), now)
    elif run.job.status != "paused":
        _hurry_to(run, "running", now)
        simulation.pause(run, state, now)


def _hurry_to(run: Run, status: str, now: float) -> None:
    if run.job.status == "paused":
        simulation.resume(run, now)
    if STATUS_ORDER.index(run.job.status) > STATUS_ORDER.index(status):
        raise ApiError(400, f"The job {run.id} is {run.job.status}, and cannot go back to {status}.", param="status")
    while run.job.status != status and not run.is_over:
        run.hurry(now)
    if run.job.status != status:
        raise ApiError(400, f"The job {run.id} could not become {status}: it has {run.job.status}.", param="status")


def _move_to_step(run: Run, step: int, now: float) -> None:
    _hurry_to(run, "running", now)
    while run.last_step < step and not run.is_over:
        run.hurry(now)


@router.post("/webhook")
async def start_webhooks(receiver: webhooks.Receiver, state: SandboxDep) -> Response:
    """Sends a webhook to this address for each job that ends from now on."""
    webhooks.begin(state, receiver)
    return answer({"url": receiver.url})


@router.delete("/webhook")
async def stop_webhooks(state: SandboxDep) -> Response:
    state.receiver = None
    return answer({"deleted": True})


@router.post("/list_lag")
async def set_list_lag(lag: ListLag, state: SandboxDep) -> Response:
    """Leaves each new job out of the list, and only out of the list, for this many seconds."""
    state.list_lag = lag.seconds
    return answer({"seconds": lag.seconds})


@router.get("/requests")
async def count_requests(state: SandboxDep) -> Response:
    """Counts the calls of `/v1` since the last reset by method and path template, dropped and failed ones included."""
    return answer({"total": state.requests.total(), "requests": dict(sorted(state.requests.items()))})


@router.post("/reset")
async def reset(state: SandboxDep) -> Response:
    """Deletes all files, uploads, jobs, models, faults and counts."""
    state.forget()
    return answer({"reset": True})
