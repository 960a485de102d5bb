"""`tunery rate-limit`: shows and changes how much a project and its keys may send and create, through the API."""

from typing import Annotated

import typer

from cli.api_client import Found, admin_client, list_all, of_project, post
from cli.columns import print_table
from cli.failure import Failure

app = typer.Typer(help="How much a project and its keys may send and create.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", show_default=False)]
Number = Annotated[str | None, typer.Option(metavar="N|default")]
DEFAULT = "default"
MAX_DIGITS = 15
NO_LIMIT = 2**31 - 1  # the API's number of requests where there is no limit, since OpenAI's type has no null
TITLES = ("OF", "REQUESTS/MIN", "BYTES/MIN", "JOBS/DAY", "OPEN JOBS")


@app.command("list")
def list_limits(project: Project) -> None:
    """Show the limits of a project and of its keys."""
    with admin_client() as client:
        rows = [_row(limit) for limit in list_all(client, of_project(project, "rate_limits"))]
    print_table(TITLES, rows)


@app.command("set")
def set_limits(
    project: Project,
    key: Annotated[str | None, typer.Option(metavar="KEY_ID", help="Of this key of the project alone.")] = None,
    requests_per_minute: Number = None,
    bytes_per_minute: Number = None,
    jobs_per_day: Number = None,
    open_jobs: Number = None,
) -> None:
    """Change limits: a number, 0 for nothing at all, or `default` for what the settings say. It counts within 5 s.

    Example: `./tunery rate-limit set proj_… --requests-per-minute 600 --open-jobs 20`
    """
    given = {
        "max_requests_per_1_minute": requests_per_minute,
        "max_bytes_per_1_minute": bytes_per_minute,
        "max_jobs_per_1_day": jobs_per_day,
        "max_open_jobs": open_jobs,
    }
    new = {name: _number(value) for name, value in given.items() if value is not None}
    with admin_client() as client:
        limit = post(client, of_project(project, "rate_limits", f"rl-{key or project}"), new)
    print_table(TITLES, [_row(limit)])


def _number(text: str) -> int | None:
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        raise Failure(f"A limit is a number of at most {MAX_DIGITS} digits, or `{DEFAULT}`: not {text}")
    return int(text)


def _row(limit: Found) -> list[str]:
    requests = limit["max_requests_per_1_minute"]
    others = [limit[name] for name in ("max_bytes_per_1_minute", "max_jobs_per_1_day", "max_open_jobs")]
    numbers = [None if requests == NO_LIMIT else requests, *others]
    return [limit["id"].removeprefix("rl-"), *("none" if each is None else str(each) for each in numbers)]
