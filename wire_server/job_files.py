"""The files of a job: what is wrong with those it trains on, and the metrics that it leaves behind."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wire_server.records import FileObject, Job, JobError, StoredFile, new_id
from wire_server.state import State
from wire_server.training_file import METHODS, Contents

MIN_EXAMPLES = 10
METRICS_NAME = "step_metrics.csv"
RESULT_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}
"""The columns of the result file, each with the metric that it shows."""


def first_problem(job: Job, method: str, training: Contents, validation: Contents | None) -> JobError | None:
    """The first error in the job's files, with the codes and messages observed at OpenAI."""
    return _problem(job, method, training, "training", MIN_EXAMPLES) or (
        _problem(job, method, validation, "validation", 1) if validation else None
    )


def _problem(job: Job, method: str, contents: Contents, kind: str, least: int) -> JobError | None:
    param, code = f"{kind}_file", f"invalid_{kind}_file"
    opening = f"The job failed due to an invalid {kind} file."
    if contents.problem:
        return JobError(code=code, message=f"{opening} {contents.problem}", param=param)
    if (made_for := METHODS[contents.format]) != method:
        file_id = job.training_file if kind == "training" else job.validation_file
        message = (
            f"{opening} Invalid file format. Input file {file_id} is in the fine-tune-{contents.format} format, but "
            f"the specified fine-tuning job is not using '{made_for}' (provided method={method})."
        )
        return JobError(code=code, message=message, param=param)
    if contents.n_examples < least:
        found = f"{kind.capitalize()} file has {contents.n_examples} example(s)"
        message = f"{found}, but must have at least {least} examples"
        return JobError(code="invalid_n_examples", message=message, param=param)
    return None


def write_metrics(state: State, metrics: Iterable[Mapping[str, Any]]) -> Path:
    """Writes the table of a job's metrics, oldest first; no row points to it yet."""
    path = state.new_path()
    try:
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(RESULT_COLUMNS)
            rows.writerows([each.get(name, "") for name in RESULT_COLUMNS.values()] for each in metrics)
        state.flush(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def keep_result(state: State, path: Path, filename: str, now: int) -> str:
    """Makes a result file of the bytes at `path`, which are on the disk; the file's id."""
    file = FileObject(
        id=new_id("file-", 22),
        bytes=path.stat().st_size,
        created_at=now,
        filename=filename,
        purpose="fine-tune-results",
    )
    state.files[file.id] = StoredFile(file=file, path=path)
    return file.id
