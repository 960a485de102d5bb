"""`tunery jobs`: creates fine-tuning jobs on any server that speaks OpenAI's API, follows and compares them."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.client.arguments import AsJson, JobId, Yes
from cli.client.jobs import actions, options
from cli.client.pages import LIMIT, After, All, Limit

app = typer.Typer(help="Fine-tuning jobs, on any server that speaks OpenAI's API.", no_args_is_help=True)


class Status(StrEnum):
    VALIDATING_FILES = "validating_files"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@app.command()
def create(
    file: options.File = None,
    model: options.Model = None,
    validation_file: options.Validation = None,
    method: options.MethodOption = None,
    epochs: options.Epochs = None,
    batch_size: options.Number = None,
    lr_multiplier: options.LrMultiplier = None,
    hyperparameter: options.Others = None,
    grader: options.Grader = None,
    suffix: options.Suffix = None,
    seed: options.Seed = None,
    metadata: options.Pairs = None,
    from_job: options.FromJob = None,
    priority: options.PriorityOption = None,
    deploy: options.DeployOnSuccess = None,
    estimate: options.Estimate = False,
    yes: Yes = False,
    wait: options.Wait = False,
    json: AsJson = False,
) -> None:
    """Create a job, and print its id. A file of this machine is checked and uploaded first.

    If the price is known, it is said, and you are asked whether to start. Exit status: 0 if the job is created, 1 if
    it was refused; with --wait 0 if it has succeeded, 3 if it has not.

    Examples:

    `./tunery jobs create --file train.jsonl --model gpt-4o-mini --estimate`

    `./tunery jobs create --file train.jsonl --model gpt-4o-mini --epochs 2 -y --wait`
    """
    from cli.client.jobs.creation import Wanted, run

    named = {"n_epochs": epochs, "batch_size": batch_size, "learning_rate_multiplier": lr_multiplier}
    numbers = options.hyperparameters(named, hyperparameter)
    others = {"suffix": suffix, "seed": seed, "metadata": options.pairs(metadata) or None, "priority": priority}
    others["deploy_on_success"] = deploy
    wanted = Wanted(file, validation_file, model, from_job, method, numbers, grader, others)
    run(wanted, estimate_only=estimate, yes=yes, wait=wait, as_json=json)


@app.command("list")
def list_jobs(
    status: Annotated[Status | None, typer.Option(help="Only those in this status.")] = None,
    metadata: options.Pairs = None,
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

    list_jobs(limit, after, status, options.pairs(metadata), all=all, as_json=json)


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
