"""How Nebius shows what the engine has: jobs with steps and nulls, four kinds of events, checkpoints with files."""

from typing import Any

import msgspec
from msgspec import structs

from sandbox.runs import Run
from sandbox.wires.nebius.engine import NebiusSandbox, total_steps
from wire_server.records import Checkpoint, JobEvent

_NOT_SHOWN = ("method", "user_provided_suffix", "usage_metrics", "shared_with_openai")


def job(run: Run) -> dict[str, Any]:
    """It says that it runs from the beginning, and names no model at its end."""
    raw = msgspec.to_builtins(run.job)
    waits = run.job.status == "queued" and run.is_held
    return {name: value for name, value in raw.items() if name not in _NOT_SHOWN} | {
        "status": "running" if run.job.status in {"validating_files", "queued"} and not waits else run.job.status,
        "suffix": run.job.user_provided_suffix,
        "fine_tuned_model": None,
        "trained_tokens": run.job.trained_tokens or 0,
        "trained_steps": run.last_step,
        "total_steps": total_steps(run),
        "result_files": [],
    }


def events(run: Run) -> list[JobEvent]:
    """Oldest first."""
    return [structs.replace(event, message=said, data=None) for event in run.events for said in _said(run, event)]


def _said(run: Run, event: JobEvent) -> list[str]:
    """What is told of an event of the engine's: nothing of most."""
    if event.message.startswith("Created fine-tuning job"):
        return ["Job is submitted"]
    if event.message.startswith("Files validated"):
        return ["Dataset 'training' processed successfully"]
    if event.message.startswith("The job has successfully completed"):
        return ["Training completed successfully"]
    return [event.message] if run.is_over and event.level == "error" else []


def checkpoint(saved: Checkpoint, state: NebiusSandbox) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(saved)
    return raw | {"fine_tuned_model_checkpoint": None, "result_files": state.files_of(saved)}
