"""Jobs, events, metrics and checkpoints of the engine, as Together shows them."""

from datetime import UTC, datetime
from typing import Any

from sandbox.runs import Run
from sandbox.wires.together.engine import TogetherSandbox, body_of, output_name
from wire_server.records import Checkpoint, JobEvent

WORDS = {
    "validating_files": "pending",
    "queued": "queued",
    "running": "running",
    "succeeded": "completed",
    "failed": "error",
    "cancelled": "cancelled",
}
TYPES = {
    "Created fine-tuning job": "job_pending",
    "Validating training file": "training_data_downloading",
    "Files validated": "training_data_download_complete",
    "Fine-tuning job started": "job_start",
    "Checkpoint created": "checkpoint_save",
    "New fine-tuned model created": "model_upload_complete",
    "The job has successfully completed": "job_complete",
    "The job was cancelled": "job_stopped",
}
ONLY_THERE = ("Usage policy checks",)
"""Beginnings of events that OpenAI has and Together has not."""

MONEY = {"exceeded_quota", "insufficient_quota", "billing_limit"}
ALSO_SHOWN = (
    "n_evals",
    "n_checkpoints",
    "learning_rate",
    "warmup_ratio",
    "max_grad_norm",
    "weight_decay",
    "training_type",
    "training_method",
    "from_checkpoint",
)


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def word(state: TogetherSandbox, run: Run) -> str:
    if run.id in state.cancelling and not run.is_over:
        return "cancel_requested"
    is_trained = bool(run.metrics) and run.metrics[-1]["step"] == run.metrics[-1]["total_steps"]
    return "uploading" if run.job.status == "running" and is_trained else WORDS.get(run.job.status, run.job.status)


def job(state: TogetherSandbox, run: Run) -> dict[str, Any]:
    """A job that is asked for by its id: without its suffix and its seed, and with its events."""
    found = events(run) if state.switches.has_events else None
    return {**_both(state, run), "job_id": run.id, "epochs_completed": 0, "queue_depth": 0, "events": found}


def truncated(state: TogetherSandbox, run: Run) -> dict[str, Any]:
    """A job in a list, and in the answer to a create or a cancel."""
    seed_and_suffix = {"random_seed": run.job.seed, "suffix": body_of(run).get("suffix")}
    return {**_both(state, run), **seed_and_suffix, "events": []}


def _both(state: TogetherSandbox, run: Run) -> dict[str, Any]:
    body, own, latest = body_of(run), run.job, max((each.created_at for each in run.events), default=0)
    batch, tokens = run.hyperparameters["batch_size"], own.trained_tokens or 0
    return {
        "id": run.id,
        "status": word(state, run),
        "created_at": iso(own.created_at),
        "updated_at": iso(max(own.created_at, latest)),
        "started_at": None,
        "user_id": "user-sandbox",
        "model": run.base,
        "model_output_name": output_name(state, run),
        "adapter_output_name": None,
        "training_file": own.training_file,
        "validation_file": body.get("validation_file", ""),
        "n_epochs": run.hyperparameters["n_epochs"],
        "batch_size": batch if isinstance(batch, int) else None,
        "token_count": tokens,
        "total_price": tokens * state.switches.price,
        "progress": _progress(state, run),
        **{name: body.get(name) for name in ALSO_SHOWN},
    }


def _progress(state: TogetherSandbox, run: Run) -> dict[str, Any]:
    finish = run.job.estimated_finish
    left = max(0, int(finish - state.now())) if finish else 0
    return {"estimate_available": finish is not None, "seconds_remaining": left}


def events(run: Run) -> list[dict[str, Any]]:
    told = [each for each in run.events if each.type == "message" and not each.message.startswith(ONLY_THERE)]
    return [_event(run, each) for each in told]


def _event(run: Run, event: JobEvent) -> dict[str, Any]:
    kind = next((kind for beginning, kind in TYPES.items() if event.message.startswith(beginning)), "warning")
    if event.level == "error":
        kind = "billing_limit" if run.job.error and run.job.error.code in MONEY else "job_error"
    step = int(event.message.split()[4]) if kind == "checkpoint_save" else 0
    return {
        "object": "fine-tune-event",
        "created_at": iso(event.created_at),
        "level": "error" if event.level == "error" else "info",
        "type": kind,
        "message": event.message,
        "step": step,
        "total_steps": _total(run),
        "checkpoint_path": f"s3://checkpoints/{run.id}/{step}" if step else "",
    }


def _total(run: Run) -> int:
    return int(run.metrics[-1]["total_steps"]) if run.metrics else 0


def metrics(run: Run, resolution: int | None) -> list[dict[str, float]]:
    """Each step's, and each validation's by itself. `resolution` bounds the former."""
    found: list[dict[str, float]] = []
    stride = max(1, -(-len(run.metrics) // resolution)) if resolution else 1
    for number, each in enumerate(run.metrics):
        step = {"train/global_step": each["step"]}
        if number % stride == 0:
            accuracy = each.get("train_mean_token_accuracy")
            more = {"train/mean_token_accuracy": accuracy} if accuracy is not None else {}
            rates = {"train/learning_rate": 0.00001, "train/grad_norm": 0.8}
            found.append({**step, "train/loss": each["train_loss"], **rates, **more})
        if "valid_loss" in each:
            found.append({**step, "eval/loss": each["valid_loss"]})
    return found


def checkpoints(state: TogetherSandbox, run: Run) -> list[dict[str, Any]]:
    """Each as a model and as an adapter."""
    return [_checkpoint(state, run, each, kind) for each in run.checkpoints for kind in ("model", "adapter")]


def _checkpoint(state: TogetherSandbox, run: Run, each: Checkpoint, kind: str) -> dict[str, Any]:
    is_last = each.step_number == _total(run)
    return {
        "step": each.step_number,
        "path": f"s3://checkpoints/{run.id}/{each.step_number}/{kind}",
        "created_at": iso(each.created_at),
        "checkpoint_type": f"{'Final' if is_last else 'Intermediate'} {kind} (step {each.step_number})",
        "checkpoint": kind,
        "object_name": f"{output_name(state, run)}-{each.step_number}",
    }
