"""What is checked in the create call itself: model, method, options, files and limits; file contents fail later."""

import asyncio
from pathlib import Path
from typing import Any

from trainer.bases import Base
from trainer.server import job_folder, options
from trainer.server.options import Options
from trainer.server.records import KeptRun, TunedModel
from trainer.server.run import Run
from trainer.server.state import TrainerState
from wire_server.errors import ApiError
from wire_server.job_admission import check_limits, model_not_available, new_job, training_contents
from wire_server.job_requests import JobCreate
from wire_server.records import Job, new_model_name

METHODS = ("supervised", "dpo")
EPOCHS_KEPT = 3


async def admit(state: TrainerState, new: JobCreate) -> Run:
    """The new job with its folder, waiting. Raises ApiError: 400 for its model, method or options, 404 for a file."""
    parent = state.tuned.get(new.model)
    base = state.bases_by_name().get(parent.base if parent else new.model)
    if base is None:
        raise model_not_available(new.model)
    chosen = options.read(new.provider_options)
    _check_method(new, chosen)
    if chosen.shard:
        _check_sharding(new, chosen, state.settings.devices_of_a_job)
    _check_continuation(parent, chosen)
    training = training_contents(state, new.training_file, "training_file")
    validation = training_contents(state, new.validation_file, "validation_file") if new.validation_file else None
    check_limits(state, base.name, state.jobs_of(base.name))
    job = new_job(state, new, new.model)
    spec = _spec(job, base, parent, chosen)
    kept = KeptRun(job=job, base=base.name, spec=spec, training=training, validation=validation, checkpoints=[])
    run = Run(kept, state.job_folder(job.id), state.store)
    with state.making(run):
        await _make_folder(state, new, run, parent)
    return run


def _check_method(new: JobCreate, chosen: Options) -> None:
    method = new.effective_method().type
    if method not in METHODS:
        message = f"The trainer does not do {method}: it has no graders yet. It does {' and '.join(METHODS)}."
        raise ApiError(400, message, code="invalid_value", param="method")
    if chosen.packing and method != "supervised":
        message = "Only examples of supervised jobs can be packed into one row: leave packing out."
        raise ApiError(400, message, code="invalid_value", param="provider_options.packing")
    if new.integrations:
        message = "The trainer sends nothing to other services: leave integrations out."
        raise ApiError(400, message, code="invalid_value", param="integrations")


def _check_sharding(new: JobCreate, chosen: Options, devices: int) -> None:
    if devices == 1:
        why = "A job has one device here"
    elif chosen.quantization:
        why = "Weights in 4 bits cannot be sharded"
    elif new.effective_method().type != "supervised":
        why = "Only supervised jobs can be sharded"
    else:
        return
    raise ApiError(400, f"{why}: leave shard out.", code="invalid_value", param="provider_options.shard")


def _check_continuation(parent: TunedModel | None, chosen: Options) -> None:
    if parent and parent.is_whole and not chosen.full:
        message = "An adapter of a wholly tuned model could not be chatted with: set full, or start from the base."
        raise ApiError(400, message, code="invalid_value", param="provider_options.full")
    if parent and not parent.is_whole and chosen.full:
        message = "A model with an adapter is trained further as an adapter: leave out full, or start from the base."
        raise ApiError(400, message, code="invalid_value", param="provider_options.full")


def _spec(job: Job, base: Base, parent: TunedModel | None, chosen: Options) -> dict[str, Any]:
    """`job.json`, as far as it is known: hyperparameters, device and threads come later."""
    return {
        "id": job.id,
        "method": job.method["type"],
        "base": base.folder,
        "parent_is_whole": parent is not None and parent.is_whole,
        "base_name": base.name,
        "model": new_model_name(job, base.name),
        "seed": job.seed,
        "base_learning_rate": base.learning_rate,
        "keep_epochs": EPOCHS_KEPT,
        "options": chosen.model_dump(),
    }


async def _make_folder(state: TrainerState, new: JobCreate, run: Run, parent: TunedModel | None) -> None:
    """In a thread: files are copied where a second link to their bytes cannot be had."""
    validation = state.files[new.validation_file].path if new.validation_file else None
    training, weights = state.files[new.training_file].path, Path(parent.folder) if parent else None
    try:
        await asyncio.to_thread(job_folder.make, run.folder, run.kept.spec, training, validation, weights)
    except OSError as error:
        state.remove_folder(run.folder)
        _refuse_what_is_gone(state, new, weights)
        message = f"The trainer cannot make the folder of the job: {error.strerror}."
        raise ApiError(500, message, type="server_error") from error
    if parent and new.model not in state.tuned:  # deleted meanwhile, maybe before all of it was copied
        state.remove_folder(run.folder)
        raise model_not_available(new.model)


def _refuse_what_is_gone(state: TrainerState, new: JobCreate, weights: Path | None) -> None:
    """Raises ApiError for a file or a model that was deleted while it was copied."""
    if weights and (new.model not in state.tuned or not weights.exists()):
        raise model_not_available(new.model)
    training_contents(state, new.training_file, "training_file")
    if new.validation_file:
        training_contents(state, new.validation_file, "validation_file")
