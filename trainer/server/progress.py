"""What a job's process tells, as the wire shows it: events, metrics, checkpoints, and the end."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from trainer.server.records import TunedModel
from trainer.server.run import Run
from trainer.server.state import TrainerState
from wire_server.job_files import METRICS_NAME, keep_result, write_metrics
from wire_server.records import (
    Checkpoint,
    JobError,
    Model,
    new_model_name,
)

log = logging.getLogger("trainer")

Line = dict[str, Any]
NOT_METRICS = frozenset({"event", "step"})


def tell_all(run: Run, state: TrainerState, lines: Iterable[tuple[Line, int]]) -> None:
    """Each line with the offset behind it, so that none is told again if a later one finds the disk full.

    A line that cannot be understood is logged and passed over.
    """
    for line, offset in lines:
        try:
            tell(run, state, line)
        except (KeyError, TypeError, ValueError):
            log.exception("%s: its process told what cannot be understood: %s", run.id, line)
        run.kept.offset = offset


def tell(run: Run, state: TrainerState, line: Line) -> None:
    """Applies one line of `lines.jsonl`. What was told before is passed over: steps are done again after a kill."""
    if not run.is_over and (told := TOLD.get(str(line.get("event")))):
        told(run, state, line)
        if run.is_over:
            forget_pruned(run, state)


def _started(run: Run, state: TrainerState, line: Line) -> None:
    if run.job.status == "queued":
        run.job.status = "running"  # it has waited in a cluster
    kept, step = run.kept, int(line.get("resumed_from") or 0)
    was_started = bool(kept.total_steps)  # and stopped, maybe before its first checkpoint
    kept.total_steps = int(line["total_steps"])
    if was_started:
        run.add_event(f"Fine-tuning job goes on from step {step}")
    else:
        run.add_event("Fine-tuning job started")
        for sentence in line.get("left_out", ()):
            run.add_event(str(sentence), level="warn")
    run.begin_from(step)


def _step(run: Run, state: TrainerState, line: Line) -> None:
    step, kept = int(line["step"]), run.kept
    if step <= kept.last_step:
        return
    kept.last_step, kept.failures, kept.losses = step, 0, 0
    kept.metrics = {"step": step} | _metrics(line)
    if run.job.status == "running":
        run.job.estimated_finish = run.estimate()
    loss = kept.metrics.get("train_loss")
    said = f"training loss={loss:.2f}" if loss is not None else "trained"
    _add_metrics(run, state, f"Step {step}/{kept.total_steps}: {said}", kept.metrics)


def _valid(run: Run, state: TrainerState, line: Line) -> None:
    step, kept = int(line["step"]), run.kept
    if step <= kept.last_validated:
        return
    kept.last_validated = step
    found = _metrics(line)
    found |= {f"full_{name}": value for name, value in found.items() if name.startswith("valid_")}
    if step == kept.last_step:
        kept.metrics |= found
    message = f"Step {step}/{kept.total_steps}: full validation loss={found.get('full_valid_loss', 0):.2f}"
    _add_metrics(run, state, message, {"step": step} | found)


def _metrics(line: Line) -> dict[str, float]:
    numbers = {name: value for name, value in line.items() if name not in NOT_METRICS}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float)}


def _add_metrics(run: Run, state: TrainerState, message: str, metrics: dict[str, float]) -> None:
    data = metrics | {"total_steps": run.kept.total_steps}
    run.add_event(message, type="metrics", data=data)


def _checkpoint(run: Run, state: TrainerState, line: Line) -> None:
    """An epoch's end and where a job was paused are the wire's checkpoints; others are only there to go on from."""
    step, folder = int(line["step"]), run.folder / str(line["folder"])
    is_known = any(known.step_number == step for known in run.checkpoints)
    if (line.get("epoch_end") or run.job.status == "paused") and not is_known and folder.exists():
        name = f"{new_model_name(run.job, run.base)}:ckpt-step-{step}"
        run.add_checkpoint(name, step, dict(run.kept.metrics))
        _add_model(run, state, name, folder)
        run.add_event(f"Checkpoint created at step {step} with Snapshot ID: {name}")
    forget_pruned(run, state)


def forget_pruned(run: Run, state: TrainerState) -> None:
    """The process keeps few checkpoints; those that are gone are no models any more."""
    for old in [old for old in run.checkpoints if not _folder(run, state, old).exists()]:
        run.checkpoints.remove(old)
        state.tuned.pop(old.fine_tuned_model_checkpoint, None)


def _folder(run: Run, state: TrainerState, checkpoint: Checkpoint) -> Path:
    model = state.tuned.get(checkpoint.fine_tuned_model_checkpoint)
    return Path(model.folder) if model else run.folder / f"step-{checkpoint.step_number}"


def _add_model(run: Run, state: TrainerState, name: str, folder: Path) -> None:
    state.tuned[name] = TunedModel(
        model=Model(id=name, created=int(state.now()), owned_by=state.settings.organization),
        base=run.base,
        folder=str(folder),
        is_whole=bool(run.kept.spec["options"]["full"]),
        job_id=run.id,
    )


def _failed(run: Run, state: TrainerState, line: Line) -> None:
    param = line.get("param")
    error = JobError(code=str(line["code"]), message=str(line["message"]), param=str(param) if param else None)
    run.fail(error)


def _cancelled(run: Run, state: TrainerState, line: Line) -> None:
    """Somebody else than a caller has asked the process to stop."""
    run.end("cancelled")
    run.add_event("The job was cancelled on the machine that trained it")


def _done(run: Run, state: TrainerState, line: Line) -> None:
    """`packed`: the path of the model's zip file, which the runner has made."""
    name = str(run.kept.spec["model"])
    metrics = _rows(event.data or {} for event in state.store.metrics(run.id))
    packed, now = "model.zip" if run.kept.spec["options"]["full"] else "adapter.zip", int(run.now())
    table = write_metrics(state, metrics)
    run.job.result_files = [
        keep_result(state, table, METRICS_NAME, now),
        keep_result(state, Path(line["packed"]), packed, now),
    ]
    run.job.trained_tokens = int(line["trained_tokens"])
    _add_model(run, state, name, run.folder / "final")
    run.add_event(f"New fine-tuned model created: {name}")
    run.succeed(name)


def _rows(metrics: Any) -> list[dict[str, Any]]:
    """One row for each step: an epoch's end has two events, of the step and of its validation."""
    rows: dict[int, dict[str, Any]] = {}
    for each in metrics:
        rows.setdefault(int(each["step"]), {}).update(each)
    return [row for _, row in sorted(rows.items())]


def forget_model(state: TrainerState, name: str) -> None:
    """Deletes a tuned model or checkpoint with its weights. Those of a job that is not over go when it is."""
    model = state.tuned.pop(name)
    state.save()
    run = state.runs.get(model.job_id)
    if run is None or run.is_over:
        state.remove_folder(Path(model.folder))


def models_of(run: Run, state: TrainerState) -> set[str]:
    """The names of the folders of this job that are models."""
    return {Path(model.folder).name for model in state.tuned.values() if model.job_id == run.id}


TOLD: dict[str, Callable[[Run, TrainerState, Line], None]] = {
    "started": _started,
    "step": _step,
    "valid": _valid,
    "checkpoint": _checkpoint,
    "cancelled": _cancelled,
    "failed": _failed,
    "done": _done,
}
"""`paused` says nothing new: who asked for it has the answer, and without a caller the job goes on."""
