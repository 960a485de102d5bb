"""Jobs of both kinds below `/v1/accounts/{account}`: created by an id of the caller, listed, cancelled, resumed."""

import json
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from sandbox.job_admission import admit
from sandbox.runs import Run
from sandbox.wires.fireworks import datasets, shapes
from sandbox.wires.fireworks.access import AccountDep, check_fields, json_object, page
from sandbox.wires.fireworks.engine import BODY, JOB_KINDS, PREFERENCE, SUPERVISED, FireworksSandbox
from sandbox.wires.fireworks.status import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, StatusError, in_its_words
from wire_server.answers import answer
from wire_server.errors import ApiError
from wire_server.job_requests import JobCreate
from wire_server.records import new_id

CONFIG = frozenset(
    [
        "baseModel",
        "warmStartFrom",
        "outputModel",
        "epochs",
        "learningRate",
        "learningRateWarmupSteps",
        "loraRank",
        "maxContextLength",
        "batchSize",
        "batchSizeSamples",
        "gradientAccumulationSteps",
        "optimizerWeightDecay",
        "jinjaTemplate",
        "region",
        "samplerCheckpointSaveIntervalSteps",
    ]
)
FIELDS = {
    SUPERVISED: CONFIG
    | {
        "dataset",
        "displayName",
        "evaluationDataset",
        "evalAutoCarveout",
        "earlyStop",
        "wandbConfig",
        "isTurbo",
        "nodes",
    },
    PREFERENCE: frozenset({"dataset", "displayName", "trainingConfig", "lossConfig", "wandbConfig"}),
}

router = APIRouter(prefix="/v1/accounts/{account}")


def find(engine: FireworksSandbox, kind: str, id: str) -> Run:
    if run := engine.runs.get(f"{kind}/{id}"):
        return run
    raise StatusError(NOT_FOUND, f"job accounts/{engine.account}/{kind}/{id} not found")


def _shown(engine: FireworksSandbox, run: Run, request: Request) -> dict[str, Any]:
    return shapes.job(engine, run, engine.signed(request, f"metrics/{run.id}"))


async def create_job(kind: str, request: Request, engine: AccountDep) -> Response:
    body = await json_object(request)
    id = request.query_params.get(JOB_KINDS[kind]) or new_id("job-").lower()
    datasets.check_new(engine, id, "job", f"{kind}/{id}" in engine.runs)
    check_fields(body, FIELDS[kind])
    new = _in_the_engines_words(engine, kind, body)
    try:
        run = admit(engine, new)
    except ApiError as error:
        raise in_its_words(error) from None
    run.job.id, run.job.metadata = f"{kind}/{id}", {BODY: json.dumps(body)}
    engine.start(run, request.scope)
    return answer(_shown(engine, run, request) | {"state": shapes.prefixed(engine, "CREATING")})


def _in_the_engines_words(engine: FireworksSandbox, kind: str, body: dict[str, Any]) -> JobCreate:
    settings = body.get("trainingConfig") if kind == PREFERENCE else body
    if not isinstance(settings, dict):
        raise StatusError(INVALID_ARGUMENT, "trainingConfig is required")
    check_fields(settings, FIELDS[kind] | CONFIG)
    if bool(settings.get("baseModel")) == bool(settings.get("warmStartFrom")):
        raise StatusError(INVALID_ARGUMENT, "exactly one of base_model and warm_start_from must be given")
    if (output := settings.get("outputModel")) in engine.tuned:
        datasets.check_new(engine, str(output).rpartition("/")[2], "model", taken=True)
    hyperparameters = {"n_epochs": settings.get("epochs"), "batch_size": settings.get("batchSizeSamples")}
    type = "supervised"
    if kind == PREFERENCE:
        type, hyperparameters["beta"] = "dpo", ((body.get("lossConfig") or {}).get("dpo") or {}).get("beta")
    given = {name: value for name, value in hyperparameters.items() if value}
    try:
        return JobCreate.model_validate(
            {
                "model": settings.get("baseModel") or settings.get("warmStartFrom"),
                "training_file": _dataset(engine, body.get("dataset")),
                "validation_file": _dataset(engine, body["evaluationDataset"])
                if body.get("evaluationDataset")
                else None,
                "seed": 0,
                "method": {"type": type, type: {"hyperparameters": given}},
            }
        )
    except ValidationError as error:
        raise StatusError(INVALID_ARGUMENT, str(error.errors()[0]["msg"])) from None


def _dataset(engine: FireworksSandbox, name: object) -> str:
    """The id of a dataset that is ready. Raises StatusError for another."""
    prefix = f"accounts/{engine.account}/datasets/"
    if not isinstance(name, str) or not name.startswith(prefix):
        raise StatusError(INVALID_ARGUMENT, f"invalid dataset name {name!r}")
    id = name.removeprefix(prefix)
    if not datasets.is_ready(engine, datasets.find(engine, id)):
        raise StatusError(FAILED_PRECONDITION, f"dataset {name} is not ready")
    return id


async def list_jobs(kind: str, request: Request, engine: AccountDep) -> Response:
    visible = {job.id for job in await engine.listed_jobs()}
    runs = [run for run in engine.runs.values() if run.id in visible and run.id.startswith(f"{kind}/")]
    if request.query_params.get("orderBy") in {"createTime desc", "create_time desc"} and engine.switches.keeps_order:
        runs.reverse()
    else:
        runs.sort(key=lambda run: run.id)
    found = page(request, kind, runs, lambda run: _shown(engine, run, request))
    return answer(found if runs or engine.switches.says_empty else {})


async def cancel_job(kind: str, job: str, engine: AccountDep) -> Response:
    """Answers with nothing; the job is `CANCELLING` when it is seen the next time."""
    run = find(engine, kind, job)
    if run.is_over:
        raise StatusError(FAILED_PRECONDITION, f"job {job} is already {run.job.status}")
    engine.cancel(run)
    engine.cancelling.add(run.id)
    return answer({})


async def resume_job(kind: str, job: str, request: Request, engine: AccountDep) -> Response:
    run = find(engine, kind, job)
    if run.job.status != "paused":
        raise StatusError(FAILED_PRECONDITION, f"job {job} is {run.job.status}, and cannot be resumed")
    engine.resume(run)
    return answer(_shown(engine, run, request))


async def get_metrics_file_endpoint(job: str, request: Request, engine: AccountDep) -> Response:
    run = find(engine, PREFERENCE, job)
    if not run.metrics:
        raise StatusError(NOT_FOUND, f"job {job} has no metrics yet")
    return answer({"signedUrl": engine.signed(request, f"metrics/{run.id}")})


async def retrieve_job(kind: str, job: str, request: Request, engine: AccountDep) -> Response:
    return answer(_shown(engine, find(engine, kind, job), request))


async def delete_job(kind: str, job: str, engine: AccountDep) -> Response:
    del engine.runs[find(engine, kind, job).id]
    return answer({})


for each in JOB_KINDS:  # a path of its own for each, by which calls are counted
    router.add_api_route(f"/{each}", partial(create_job, each), methods=["POST"])
    router.add_api_route(f"/{each}", partial(list_jobs, each), methods=["GET"])
    router.add_api_route(f"/{each}/{{job}}:cancel", partial(cancel_job, each), methods=["POST"])
    router.add_api_route(f"/{each}/{{job}}:resume", partial(resume_job, each), methods=["POST"])
    if each == PREFERENCE:
        router.add_api_route(f"/{each}/{{job}}:getMetricsFileEndpoint", get_metrics_file_endpoint, methods=["GET"])
    router.add_api_route(f"/{each}/{{job}}", partial(retrieve_job, each), methods=["GET"])
    router.add_api_route(f"/{each}/{{job}}", partial(delete_job, each), methods=["DELETE"])
