"""Checks what OpenAI checks in the create call itself: model, method, files and limits; file contents fail later."""

from sandbox.datasets.training_file import Dataset
from sandbox.records import TunedModel
from sandbox.runs import Run
from sandbox.state import SandboxState
from wire_server.errors import ApiError
from wire_server.job_admission import (
    check_limits,
    missing_for_reinforcement,
    model_not_available,
    new_job,
    training_contents,
)
from wire_server.job_requests import JobCreate


def admit(state: SandboxState, new: JobCreate) -> Run:
    """The new job, not started. Raises ApiError: 400 for its model or method, 404 for a file, 429 for a limit."""
    if new.provider_options is not None:
        message = "Unknown parameter: 'provider_options'."
        raise ApiError(400, message, code="unknown_parameter", param="provider_options")
    parent = state.tuned.get(new.model)
    base = _tunable_base(state, new.model, parent)
    _check_method(state, base, new)
    training = _dataset(state, new.training_file, "training_file")
    validation = _dataset(state, new.validation_file, "validation_file") if new.validation_file else None
    check_limits(state, base, (run.job for run in state.runs.values() if run.base == base))
    job = new_job(state, new, new.model if parent else base)
    run = Run(job, base, training, validation, state.now())
    run.inherited = parent.memory if parent else ()
    return run


def _tunable_base(state: SandboxState, name: str, parent: TunedModel | None) -> str:
    """The snapshot behind a name. Raises ApiError 400 `model_not_available` if it cannot be tuned."""
    base = state.models.get(parent.base if parent else name)
    if base is None or not base.methods:
        raise model_not_available(name)
    return base.id


def _check_method(state: SandboxState, base: str, new: JobCreate) -> None:
    method = new.effective_method()
    if method.type not in state.models[base].methods:
        possible = ", ".join(state.models[base].methods)
        message = f"The method {method.type} is not available for {base}, which can be tuned by: {possible}."
        raise ApiError(400, message, code="invalid_value", param="method")
    if method.type != "reinforcement":
        return
    if method.reinforcement is None:
        raise missing_for_reinforcement("method.reinforcement")
    if new.validation_file is None and state.reinforcement_needs_validation:
        raise missing_for_reinforcement("validation_file")


def _dataset(state: SandboxState, file_id: str, param: str) -> Dataset:
    contents = training_contents(state, file_id, param)
    assert isinstance(contents, Dataset)
    return contents
