"""The commands of `tunery jobs` for a job that exists: its metrics and results, requests to it, comparing two."""

from typing import Annotated

import typer

from cli.client.arguments import AsJson, JobId, Target

Rows = Annotated[int, typer.Option(min=2, help="At most so many steps of the table, evenly from first to last.")]


def metrics(job_id: JobId, rows: Rows = 20, json: AsJson = False) -> None:
    """Show losses and accuracies step by step, with the curve in a terminal. `--json` has up to 500 steps.

    Example: `./tunery jobs metrics ftjob-… --rows 10`
    """
    from cli.client.jobs.metrics import show_metrics

    show_metrics(job_id, rows, as_json=json)


def results(job_id: JobId, target: Target = None, json: AsJson = False) -> None:
    """Download the result file, a CSV with a row for each step. The target appears only when it is complete.

    Examples:

    `./tunery jobs results ftjob-… metrics.csv`

    `./tunery jobs results ftjob-… | tail -1`
    """
    from cli.client.jobs.metrics import download_results

    download_results(job_id, target, as_json=json)


def compare(first: JobId, second: JobId, json: AsJson = False) -> None:
    """Show two jobs beside each other: only what differs, and the best and the last losses.

    Example: `./tunery jobs compare ftjob-… ftjob-…`
    """
    from cli.client.jobs.comparison import compare

    compare(first, second, as_json=json)


def cancel(job_id: JobId, json: AsJson = False) -> None:
    """Cancel a job.

    Example: `./tunery jobs cancel ftjob-…`
    """
    from cli.client.jobs.requests import cancel

    cancel(job_id, as_json=json)


def pause(job_id: JobId, json: AsJson = False) -> None:
    """Pause a job that is queued or running.

    Example: `./tunery jobs pause ftjob-…`
    """
    from cli.client.jobs.requests import pause

    pause(job_id, as_json=json)


def resume(job_id: JobId, json: AsJson = False) -> None:
    """Let a paused job go on.

    Example: `./tunery jobs resume ftjob-…`
    """
    from cli.client.jobs.requests import resume

    resume(job_id, as_json=json)
