"""`/v1/fine-tunes`: creates, lists, shows, cancels and deletes jobs; their events, metrics, checkpoints; models."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from sandbox.runs import Run
from sandbox.wires.together import shapes
from sandbox.wires.together.engine import SUPPORTED, TogetherSandbox, output_name, parent_of
from sandbox.wires.together.files import examined
from sandbox.wires.together.requests import FineTuneCreate, given, job_create
from sandbox.wires.together.state import TogetherDep
from wire_server.answers import answer
from wire_server.errors import ApiError

router = APIRouter(prefix="/v1/fine-tunes")


def find(state: TogetherSandbox, id: str) -> Run:
    if id in state.runs:
        return state.runs[id]
    raise ApiError(404, f"The job {id} does not exist.", code="not_found")


@router.post("")
async def create_job(new: FineTuneCreate, request: Request, state: TogetherDep) -> Response:
    for param in ("training_file", "validation_file"):
        if file_id := getattr(new, param):
            _check_file(state, file_id, param)
    run = await state.create(job_create(state, new), given(new), request.scope)
    return answer(shapes.truncated(state, run))


def _check_file(state: TogetherSandbox, file_id: str, param: str) -> None:
    status, report = examined(state, file_id)
    if status != "COMPLETED":
        reason = (report or {}).get("error", "it has not been examined")
        raise ApiError(400, f"The file {file_id} cannot be used: {reason}.", param=param)


@router.get("")
async def list_jobs(state: TogetherDep) -> Response:
    """All of them."""
    listed = [state.runs[job.id] for job in await state.listed_jobs()]
    ordered = listed if state.switches.oldest_first else listed[::-1]
    return answer({"data": [shapes.truncated(state, run) for run in ordered]})


@router.get("/models/supported")
async def supported_models() -> Response:
    return answer({"models": SUPPORTED, "detailed_models": [{"name": name} for name in SUPPORTED]})


@router.get("/models/limits")
async def model_limits(model_name: str, state: TogetherDep) -> Response:
    if model_name not in SUPPORTED and parent_of(state, {"from_checkpoint": model_name}) is None:
        raise ApiError(404, f"The model {model_name} is not available for fine-tuning.")
    batches = {"min_batch_size": 1, "max_batch_size": 256, "max_batch_size_dpo": 128}
    limits = {
        "model_name": model_name,
        "default_gradient_accumulation_steps": 1,
        "lora_training": {**batches, "default_rank": 64, "max_rank": 64, "target_modules": ["q_proj", "v_proj"]},
        "full_training": batches,
        "min_learning_rate": 0.0000001,
        "max_learning_rate": 0.01,
        "max_num_checkpoints": 50,
        "max_num_epochs": 50,
        "max_num_evals": 100,
        "min_max_seq_length": 8,
        "max_seq_length_sft": 32768,
        "max_seq_length_dpo": 16384,
        "merge_output_lora": True,
        "supports_full_training": True,
        "supports_tools": True,
        "supports_reasoning": True,
        "supports_vision": False,
    }
    return answer(limits)


@router.post("/estimate-price")
async def estimate_price(state: TogetherDep) -> Response:
    tokens = {"estimated_train_token_count": 1000, "estimated_eval_token_count": 0}
    price = {"estimated_total_price": 0.48, "allowed_to_proceed": True, "user_limit": 100.0}
    return answer({"estimation_available": True, **price, **tokens})


@router.get("/{id}")
async def retrieve_job(id: str, state: TogetherDep) -> Response:
    return answer(shapes.job(state, find(state, id)))


@router.post("/{id}/cancel")
async def cancel_job(id: str, state: TogetherDep) -> Response:
    """Says that the job is to be cancelled, and not yet that it is."""
    run = find(state, id)
    if run.is_over:
        raise ApiError(400, f"The job {id} has ended and cannot be cancelled.")
    state.cancel(run)
    return answer({**shapes.truncated(state, run), "status": "cancel_requested"})


@router.delete("/{id}")
async def delete_job(id: str, state: TogetherDep) -> Response:
    """Deletes a job with its model."""
    run = find(state, id)
    if not run.is_over:
        raise ApiError(400, f"The job {id} runs: cancel it first.")
    names = {output_name(state, run), run.job.fine_tuned_model}
    state.deleted |= {name for name in names if name}
    for name in names & state.tuned.keys():
        del state.tuned[str(name)]
    del state.runs[id]
    return answer({"message": f"The job {id} was deleted."})


@router.get("/{id}/events")
async def list_events(id: str, state: TogetherDep) -> Response:
    return answer({"data": shapes.events(find(state, id))})


@router.get("/{id}/metrics")
async def list_metrics(id: str, state: TogetherDep, resolution: int | None = None) -> Response:
    return answer({"metrics": shapes.metrics(find(state, id), resolution)})


@router.get("/{id}/checkpoints")
async def list_checkpoints(id: str, state: TogetherDep) -> Response:
    return answer({"data": shapes.checkpoints(state, find(state, id))})
