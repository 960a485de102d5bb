"""`tunery jobs`: creates fine-tuning jobs on any server that speaks OpenAI's API, follows and compares them."""

import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client.arguments import AsJson, JobId, Method, Yes
from cli.client.jobs import actions
from cli.client.pages import LIMIT, After, All, Limit

app = typer.Typer(help="Fine-tuning jobs, on any server that speaks OpenAI's API.", no_args_is_help=True)


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Status(StrEnum):
    VALIDATING_FILES = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


def _pairs(given: list[str] | None) -> dict[str, str]:
    pairs = [each.partition("=") for each in given or []]
    wrong = next((name + equals for name, equals, _ in pairs if not (name and equals)), None)
    if wrong is not None:
        raise typer.BadParameter("must be NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _number(text: str | None) -> Any:
    """A number as JSON has it; another word as it is, such as auto."""
    try:
        return json_module.loads(text or "null")
    except ValueError:
        return text


def _checked_pairs(given: list[str] | None) -> list[str] | None:
    _pairs(given)
    return given


File = Annotated[str | None, typer.Option("--file", "--training-file", "-f", help="A file here, or a file's id.")]
Validation = Annotated[str | None, typer.Option("--validation-file", help="A file here, or a file's id.")]
Number = Annotated[str | None, typer.Option(metavar="NUMBER", help="A number, or auto.")]
Pairs = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", callback=_checked_pairs, help="Repeatable.")]


@app.command()
def create(
    file: File = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="The base to train.")] = None,
    validation_file: Validation = None,
    method: Annotated[Method | None, typer.Option(help="supervised, if left out.")] = None,
    epochs: Annotated[
        str | None, typer.Option("--epochs", "--n-epochs", metavar="NUMBER", help="A number, or auto.")
    ] = None,
    batch_size: Number = None,
    learning_rate_multiplier: Number = None,
    hyperparameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", callback=_checked_pairs, help="Any other, such as beta=0.1; repeatable."),
    ] = None,
    grader: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The JSON file of reinforcement's grader.")
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="A part of the tuned model's name.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="For the same result again, as far as possible.")] = None,
    metadata: Pairs = None,
    from_job: Annotated[str | None, typer.Option(metavar="JOB_ID", help="As this one, but for what is given.")] = None,
    priority: Annotated[Priority | None, typer.Option(help="Among the project's own jobs (Tunery).")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say what it would cost, and start nothing.")] = False,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; 3 unless it has succeeded.")] = False,
    json: AsJson = False,
) -> None:
    """Create a job, and print its id. A file of this machine is checked and uploaded first.

    If the price is known, it is said, and you are asked whether to start. Exit status: 0 if the job is created (with
    --wait: has succeeded), 1 if it was refused, 3 if it was waited for and has not succeeded.

    Examples:

    `./tunery jobs create --file train.jsonl --model gpt-4o-mini --estimate`

    `./tunery jobs create --file train.jsonl --model gpt-4o-mini --epochs 2 --suffix support -y --wait`

    `./tunery jobs create --file pairs.jsonl --model gpt-4o-mini --method dpo --hyperparameter beta=0.2`
    """
    from cli.client.jobs import creation

    named = {"n_epochs": epochs, "batch_size": batch_size, "learning_rate_multiplier": learning_rate_multiplier}
    numbers = {name: _number(value) for name, value in {**named, **_pairs(hyperparameter)}.items()}
    others = {"suffix": suffix, "seed": seed, "metadata": _pairs(metadata) or None, "priority": priority}
    hyperparameters = {name: value for name, value in numbers.items() if value is not None}
    wanted = creation.Wanted(file, validation_file, model, from_job, method, hyperparameters, grader, others)
    if estimate:
        creation.estimate_only(wanted, as_json=json)
    else:
        creation.create(wanted, yes=yes, wait=wait, as_json=json)


@app.command("list")
def list_jobs(
    status: Annotated[Status | None, typer.Option(help="Only those in this status.")] = None,
    metadata: Pairs = None,
    limit: Limit = LIMIT,
    after: After = None,
    all: All = False,
    json: AsJson = False,
) -> None:
    """Show the jobs, the newest first. A cost with a ~ is an estimate.

    Examples:

    `./tunery jobs list --status running`

    `./tunery jobs list --metadata team=search --all --json | jq -r '.data[].fine_tuned_model'`
    """
    from cli.client.jobs.views import list_jobs

    list_jobs(limit, after, status, _pairs(metadata), all=all, as_json=json)


@app.command()
def show(job_id: JobId, json: AsJson = False) -> None:
    """Show a job: how it stands, what was asked for, what it costs.

    Example: `./tunery jobs show ftjob-…`
    """
    from cli.client.jobs.views import show

    show(job_id, as_json=json)


@app.command()
def watch(job_id: JobId, json: AsJson = False) -> None:
    """Follow a job until it has ended, with the curve of its training loss in a terminal.

    `--json` prints a line for each event, and the job whenever its status changes. Ctrl-C ends the watching, and not
    the job. Exit status: 0 if the job has succeeded, 3 if it has ended otherwise.

    Examples:

    `./tunery jobs watch ftjob-…`

    `./tunery jobs watch ftjob-… --json | jq -r 'select(.type == "metrics").data.train_loss'`
    """
    from cli.client.jobs.watching import DID_NOT_SUCCEED, watch

    if watch(job_id, as_json=json)["status"] != "succeeded":
        raise typer.Exit(DID_NOT_SUCCEED)


@app.command()
def events(job_id: JobId, limit: Limit = LIMIT, after: After = None, all: All = False, json: AsJson = False) -> None:
    """Show what has happened to a job: the newest events, the last one at the end.

    Examples:

    `./tunery jobs events ftjob-…`

    `./tunery jobs events ftjob-… --all`
    """
    from cli.client.jobs.views import show_events

    show_events(job_id, limit, after, all=all, as_json=json)


for _command in (
    actions.metrics,
    actions.compare,
    actions.results,
    actions.cancel,
    actions.pause,
    actions.resume,
):
    app.command()(_command)
