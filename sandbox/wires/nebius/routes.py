"""Nebius' routes of jobs and models, and the switches of tests."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from sandbox.routes import deployed_chats
from sandbox.runs import Run
from sandbox.wires.nebius import deployed, shown
from sandbox.wires.nebius.engine import TRAINED, NebiusDep, NebiusSandbox
from sandbox.wires.nebius.requests import NebiusCreate, NebiusHyperparameters, refused_model
from wire_server.answers import answer, list_answer, list_answer_with_ends
from wire_server.errors import ApiError
from wire_server.pages import After, Limit, cut
from wire_server.routes import files
from wire_server.routes import jobs as openai_jobs

jobs = APIRouter(prefix="/v1/fine_tuning/jobs")
models = APIRouter(prefix="/v1/models")
switches = APIRouter(prefix="/sandbox/nebius")


class Switches(BaseModel):
    """What nobody has seen: whether metadata of a job is kept, and whether models are listed as a bare list."""

    keeps_metadata: bool = True
    lists_bare: bool = False


@switches.post("")
async def set_switches(new: Switches, state: NebiusDep) -> Response:
    state.keeps_metadata, state.lists_bare = new.keeps_metadata, new.lists_bare
    return answer(new.model_dump())


@jobs.post("")
async def create_job(new: NebiusCreate, request: Request, state: NebiusDep) -> Response:
    if new.model not in TRAINED:
        return refused_model()
    run = await state.create_job(new.for_the_engine(state.keeps_metadata), request.scope)
    run.hyperparameters.pop("learning_rate_multiplier")
    run.hyperparameters.update(_rest(new.hyperparameters or NebiusHyperparameters()))
    return answer(shown.job(run))


def _rest(asked: NebiusHyperparameters) -> dict[str, Any]:
    values = asked.model_dump(exclude={"n_epochs", "batch_size", "learning_rate_multiplier"})
    return values | {"learning_rate": asked.learning_rate_multiplier or asked.learning_rate}


@jobs.get("")
async def list_jobs(state: NebiusDep, after: After = None, limit: Limit = 20) -> Response:
    """A filter by metadata is ignored."""
    page, has_more = cut(list(await state.listed_jobs())[::-1], after, limit)
    return list_answer([shown.job(state.runs[job.id]) for job in page], has_more)


def _find(state: NebiusSandbox, job_id: str) -> Run:
    run = openai_jobs.find(state, job_id)
    assert isinstance(run, Run)
    return run


@jobs.get("/{job_id}")
async def retrieve_job(job_id: str, state: NebiusDep) -> Response:
    return answer(shown.job(_find(state, job_id)))


@jobs.post("/{job_id}/cancel")
async def cancel_job(job_id: str, state: NebiusDep) -> Response:
    run = _find(state, job_id)
    if run.is_over:
        raise ApiError(400, f"The job {job_id} is {run.job.status}.")
    state.cancel(run)
    return answer(shown.job(run))


@jobs.get("/{job_id}/events")
async def list_events(job_id: str, state: NebiusDep, after: After = None, limit: Limit = 20) -> Response:
    return list_answer(*cut(shown.events(_find(state, job_id))[::-1], after, limit))


@jobs.get("/{job_id}/checkpoints")
async def list_checkpoints(job_id: str, state: NebiusDep, after: After = None, limit: Limit = 10) -> Response:
    page, has_more = cut(_find(state, job_id).checkpoints[::-1], after, limit)
    return list_answer([shown.checkpoint(each, state) for each in page], has_more)


@models.get("")
async def list_models(state: NebiusDep) -> Response:
    return list_answer_with_ends(list(state.bases().values()), has_more=False)


ROUTERS = (files.router, jobs, models, deployed_chats.router, deployed.router, switches)
