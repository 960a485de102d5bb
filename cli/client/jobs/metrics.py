"""A job's losses step by step, on servers with metrics and on those that have them in the events alone."""

import base64
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.api_client import Found, get, path
from cli.client.output import NONE, print_document, print_fitting, size
from cli.client.pages import MOST
from cli.client.server import NO_SUCH_ROUTE, connected
from cli.columns import say
from cli.datasets.output import publish, unfinished_file
from cli.failure import Failure
from cli.local.following import is_number
from cli.local.screen import Screen

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

RESOLUTION = 500  # points of a curve; a server with metrics keeps its extremes
COLUMNS = {
    "step": "STEP",
    "train_loss": "LOSS",
    "train_mean_token_accuracy": "ACCURACY",
    "valid_loss": "VALID LOSS",
    "full_valid_loss": "FULL VALID LOSS",
    "valid_mean_token_accuracy": "VALID ACCURACY",
}


def points_of(client: "OpenAI", job_id: str, resolution: int = RESOLUTION) -> list[Found]:
    """The steps of a job that exists, the first one first: at most so many if the server has metrics, else all."""
    from openai import APIStatusError

    try:
        found: Any = get(client, path("fine_tuning", "jobs", job_id, "metrics"), {"resolution": resolution})
        return [dict(point) for point in found["points"]]
    except APIStatusError as error:
        if error.status_code not in NO_SUCH_ROUTE:
            raise
    events = client.fine_tuning.jobs.list_events(job_id, limit=MOST)
    steps: list[Any] = [event.data for event in events if event.type == "metrics" and isinstance(event.data, dict)]
    return sorted((step for step in steps if is_number(step.get("step"))), key=lambda step: step["step"])


def show_metrics(job_id: str, rows: int, *, as_json: bool) -> None:
    with connected() as client:
        client.fine_tuning.jobs.retrieve(job_id)
        points = points_of(client, job_id)
    if as_json:
        print_document({"object": "fine_tuning.job.metrics", "job_id": job_id, "points": points})
        return
    if not points:
        say("There are no metrics yet: they come with the first step of the training.")
        return
    columns = [name for name in COLUMNS if any(is_number(point.get(name)) for point in points)]
    shown = _evenly(points, rows)
    print_fitting(
        [COLUMNS[name] for name in columns], [[_cell(point.get(name)) for name in columns] for point in shown]
    )
    losses = [point["train_loss"] for point in points if is_number(point.get("train_loss"))]
    if len(losses) > 1:
        Screen(sys.stdout).loss_curve(losses)


def _evenly(points: list[Found], count: int) -> list[Found]:
    """From the first to the last; if only some steps were validated, those and the last."""
    validated = [point for point in points[:-1] if is_number(point.get("valid_loss"))]
    shown = [*validated, points[-1]] if validated else points
    last = len(shown) - 1
    return shown if last < count else [shown[row * last // (count - 1)] for row in range(count)]


def _cell(value: Any) -> str:
    if not is_number(value):
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def download_results(job_id: str, target: Path | None, *, as_json: bool) -> None:
    """The provider's own result file; before there is one, on a server that has it, the metrics so far."""
    if as_json and target is None:
        raise typer.BadParameter("--json needs a TARGET: standard output cannot have both")
    with connected() as client:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.result_files:
            content = _as_csv(client.files.content(job.result_files[0]).read())
        else:
            content = _steps_so_far(client, job_id, job.status)
        with unfinished_file(target) as file:
            file.write(content)
            publish(file, target)
    if as_json:
        print_document({"id": job_id, "path": str(target), "bytes": len(content)})
    elif target:
        say(f"{target} is written, {size(len(content))}.")


def _as_csv(content: bytes) -> bytes:
    """OpenAI has given result files in base64, which a CSV with its commas never is."""
    try:
        return base64.b64decode(content.strip(), validate=True)
    except ValueError:
        return content


def _steps_so_far(client: "OpenAI", job_id: str, status: str) -> bytes:
    from openai import APIStatusError

    try:
        return client.get(path("fine_tuning", "jobs", job_id, "result.csv"), cast_to=str).encode()
    except APIStatusError as error:
        if error.status_code not in NO_SUCH_ROUTE:
            raise
        raise Failure(f"{job_id} is {status} and has no result file: there is one when a job has succeeded.") from None
