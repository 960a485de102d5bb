"""Mantle's routes of jobs, where they differ from OpenAI's, and the switches of tests."""

from fastapi import APIRouter, Request
from msgspec import structs
from pydantic import BaseModel
from starlette.responses import Response

from sandbox.wires.mantle.engine import MantleDep, MantleSandbox
from wire_server.answers import answer, list_answer
from wire_server.errors import ApiError
from wire_server.job_admission import training_contents
from wire_server.job_requests import JobCreate
from wire_server.pages import After, Limit, cut
from wire_server.records import Job
from wire_server.routes import chat, files, models
from wire_server.routes import jobs as openai_jobs

MOST_ROWS = 20_000
_UNKNOWN = ("suffix", "metadata", "integrations", "validation_file", "provider_options")

jobs = APIRouter(prefix="/v1/fine_tuning/jobs")
switches = APIRouter(prefix="/sandbox/mantle")


class Switches(BaseModel):
    """`list_is_stale`: the list shows each job as it began. `trains_supervised`: a create without a method is taken."""

    list_is_stale: bool = True
    trains_supervised: bool = True
    least_rows: int = 100


@switches.post("")
async def set_switches(new: Switches, state: MantleDep) -> Response:
    state.list_is_stale, state.trains_supervised = new.list_is_stale, new.trains_supervised
    state.least_rows = new.least_rows
    return answer(new.model_dump())


@jobs.post("")
async def create_job(new: JobCreate, request: Request, state: MantleDep) -> Response:
    for name in _UNKNOWN:
        if getattr(new, name) is not None:
            raise _invalid(f"The parameter '{name}' is not supported.", name)
    _check_method(state, new)
    rows = training_contents(state, new.training_file, "training_file").n_examples
    if not state.least_rows <= rows <= MOST_ROWS:
        message = f"The training file has {rows} rows; it must have {state.least_rows} to {MOST_ROWS}."
        raise _invalid(message, "training_file")
    return answer((await state.create_job(new, request.scope)).job)


def _check_method(state: MantleSandbox, new: JobCreate) -> None:
    if new.method is None:
        if not state.trains_supervised:
            raise _invalid("Missing required parameter: 'method'.", "method")
        return
    if new.method.type != "reinforcement" or new.method.reinforcement is None:
        raise _invalid("The method must be reinforcement.", "method.type")
    grader = new.method.reinforcement.grader
    function = grader.get("lambda", {}).get("function") if isinstance(grader.get("lambda"), dict) else None
    if grader.get("type") != "lambda" or not str(function).startswith("arn:aws:lambda:"):
        raise _invalid("The grader must be a lambda with the ARN of its function.", "method.reinforcement.grader")


def _invalid(message: str, param: str) -> ApiError:
    return ApiError(400, message, code="validation_error", param=param)


@jobs.get("")
async def list_jobs(state: MantleDep, after: After = None, limit: Limit = 20) -> Response:
    page, has_more = cut(list(await state.listed_jobs())[::-1], after, limit)
    return list_answer([_as_it_began(job) if state.list_is_stale else job for job in page], has_more)


def _as_it_began(job: Job) -> Job:
    old = {"status": "validating_files", "finished_at": None, "trained_tokens": None, "fine_tuned_model": None}
    return structs.replace(job, **old, result_files=[], error=None)


jobs.get("/{job_id}")(openai_jobs.retrieve_job)
jobs.post("/{job_id}/cancel")(openai_jobs.cancel_job)
jobs.get("/{job_id}/events")(openai_jobs.list_events)
jobs.get("/{job_id}/checkpoints")(openai_jobs.list_checkpoints)

ROUTERS = (files.router, jobs, models.router, chat.router, switches)
