"""Azure's routes where they differ from OpenAI's, its two addresses, and the switches of tests."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from sandbox.runs import Run
from sandbox.wires.azure import entra, management
from sandbox.wires.azure.engine import OPEN, AzureDep, AzureSandbox, shown_file
from wire_server.answers import answer, list_answer
from wire_server.chat import ChatRequest
from wire_server.errors import ApiError
from wire_server.job_requests import JobCreate
from wire_server.pages import After, cut
from wire_server.routes import chat, uploads
from wire_server.routes import files as openai_files
from wire_server.routes import jobs as openai_jobs
from wire_server.routes import models as openai_models
from wire_server.routes.bounded import BoundedRoute
from wire_server.routes.metadata_filter import metadata_filter

_GLOBAL = {"globalstandard", "1"}

files = APIRouter(prefix="/v1/files")
jobs = APIRouter(prefix="/v1/fine_tuning/jobs")
models = APIRouter(prefix="/v1/models")
chats = APIRouter(prefix="/v1/chat/completions", route_class=BoundedRoute)
switches = APIRouter(prefix="/sandbox/azure")


class Switches(BaseModel):
    """`whole_file_fails_above`: the import of a file of more bytes fails, unless it came in parts. `imports_files`: a
    new file does not stay `pending`. `takes_training_type`: also without an `api-version`. `pauses_slowly`: a paused
    job says `pausing`. `keeps_metadata`: of a job. `token_seconds`: how long a new token is good.
    `operations_conflict`: so many calls that change a deployment are refused, as while another operation runs.
    `page_size`: of the list of deployments."""

    whole_file_fails_above: int = 100_000_000
    imports_files: bool = True
    takes_training_type: bool = True
    pauses_slowly: bool = False
    keeps_metadata: bool = True
    token_seconds: float = 3599.0
    operations_conflict: int = 0
    page_size: int = 100


@switches.post("")
async def set_switches(new: Switches, state: AzureDep) -> Response:
    for name, value in new.model_dump().items():
        setattr(state, name, value)
    return answer(new.model_dump())


files.post("")(openai_files.create_file)
files.get("")(openai_files.list_files)
files.delete("/{file_id}")(openai_files.delete_file)
files.get("/{file_id}/content")(openai_files.download_file)


@files.get("/{file_id}")
async def retrieve_file(file_id: str, state: AzureDep) -> Response:
    return answer(shown_file(openai_files.find(state, file_id).file))


class AzureCreate(JobCreate):
    trainingType: str | int | None = None


@jobs.post("")
async def create_job(new: AzureCreate, request: Request, state: AzureDep) -> Response:
    if new.trainingType is not None and not (state.takes_training_type or "api-version" in request.query_params):
        message = "Unknown parameter: 'trainingType'."
        raise ApiError(400, message, code="unknown_parameter", param="trainingType")
    if new.model.partition(".ft-")[0] in OPEN and str(new.trainingType).lower() not in _GLOBAL:
        raise _invalid(f"The model {new.model} can only be trained with the trainingType globalStandard.", "model")
    for param in ("training_file", "validation_file"):
        stored = state.files.get(getattr(new, param) or "")
        if stored is not None and stored.file.status != "processed":
            raise _invalid(f"The file {stored.file.id} is not ready: its status is {stored.file.status}.", param)
    run = await state.create_job(new, request.scope)
    if new.trainingType is not None:
        state.training_types[run.id] = new.trainingType
    return answer(state.shown(run))


def _invalid(message: str, param: str) -> ApiError:
    return ApiError(400, message, code="invalidPayload", param=param)


def _find(state: AzureSandbox, job_id: str) -> Run:
    run = openai_jobs.find(state, job_id)
    assert isinstance(run, Run)
    return run


@jobs.get("")
async def list_jobs(
    request: Request, state: AzureDep, after: After = None, limit: Annotated[int, Query(ge=0, le=10_000)] = 20
) -> Response:
    wanted = metadata_filter(request.query_params)
    found = [job for job in await state.listed_jobs() if wanted(job.metadata)]
    page, has_more = cut(found[::-1], after, limit)
    return list_answer([state.shown(state.runs[job.id]) for job in page], has_more)


@jobs.get("/{job_id}")
async def retrieve_job(job_id: str, state: AzureDep) -> Response:
    return answer(state.shown(_find(state, job_id)))


@jobs.post("/{job_id}/cancel")
async def cancel_job(job_id: str, state: AzureDep) -> Response:
    await openai_jobs.cancel_job(job_id, state)
    return answer(state.shown(_find(state, job_id)))


@jobs.post("/{job_id}/pause")
async def pause_job(job_id: str, state: AzureDep) -> Response:
    """The answer comes before the job is paused."""
    await openai_jobs.pause_job(job_id, state)
    return answer(state.shown(_find(state, job_id)) | {"status": "pausing"})


@jobs.post("/{job_id}/resume")
async def resume_job(job_id: str, state: AzureDep) -> Response:
    await openai_jobs.resume_job(job_id, state)
    state.resumed.add(job_id)
    return answer(state.shown(_find(state, job_id)))


jobs.get("/{job_id}/events")(openai_jobs.list_events)
jobs.get("/{job_id}/checkpoints")(openai_jobs.list_checkpoints)


@models.get("")
async def list_models(state: AzureDep) -> Response:
    """Each says whether it can be tuned, which is not true of those with open weights."""
    tunable = {name for name, base in state.models.items() if base.methods and name not in OPEN}
    listed: list[Any] = [*state.bases().values(), *(tuned.model for tuned in state.tuned.values())]
    data = [
        msgspec.to_builtins(model) | {"capabilities": {"fine_tune": model.id in tunable, "inference": True}}
        for model in listed
    ]
    return answer({"object": "list", "data": data})


models.get("/{model:path}")(openai_models.retrieve_model)
models.delete("/{model:path}")(openai_models.delete_model)


@chats.post("")
async def create_chat_completion(request: ChatRequest, state: AzureDep, connection: Request) -> Response:
    """Bases are deployed under their own names; a tuned model is asked by the name of its deployment."""
    found = state.deployments.get(request.model)
    if request.model not in state.bases() and found is None:
        message = "The API deployment for this resource does not exist. If it was just created, wait five minutes."
        raise ApiError(404, message, code="DeploymentNotFound")
    if found is not None:
        if not found.answers:
            raise ApiError(404, "The deployment is not ready: wait some minutes.", code="DeploymentNotReady")
        request.model = found.model
    return await chat.create_chat_completion(request, state, connection)


def _at(prefix: str, *routers: APIRouter) -> APIRouter:
    address = APIRouter(prefix=prefix)
    for router in routers:
        address.include_router(router)
    return address


_BOTH = (files, jobs, models, chats)
ROUTERS = (
    _at("/openai", *_BOTH, uploads.router),
    _at("/api/projects/{project}/openai", *_BOTH),
    switches,
    entra.router,
    management.router,
)
