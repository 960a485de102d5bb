"""`tunery rate-limit`: how much a project, or one of its keys, may do."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failure

if TYPE_CHECKING:  # half a second that the help need not wait for
    from shared.projects.rate_limits import RateLimit

app = typer.Typer(help="How much a project and its keys may send and create.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", show_default=False)]
Number = Annotated[str | None, typer.Option(metavar="N|default")]
DEFAULT = "default"
DIGITS = 15


@app.command("list")
def list_limits(project: Project) -> None:
    """Show the limits of a project and of its keys."""
    from cli.columns import print_table
    from shared.database import transaction
    from shared.projects.rate_limits import list_rate_limits

    with transaction() as session:
        rows = [_row(limit) for limit in list_rate_limits(session, project)]
    print_table(("OF", "REQUESTS/MIN", "BYTES/MIN", "JOBS/DAY", "OPEN JOBS"), rows)


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

    Example: `tunery rate-limit set proj_… --requests-per-minute 600 --open-jobs 20`
    """
    from cli.columns import print_table
    from shared.database import transaction
    from shared.projects.rate_limits import RateLimitUpdate, update_rate_limit

    asked = {
        "max_requests_per_1_minute": requests_per_minute,
        "max_bytes_per_1_minute": bytes_per_minute,
        "max_jobs_per_1_day": jobs_per_day,
        "max_open_jobs": open_jobs,
    }
    new = {name: _number(value) for name, value in asked.items() if value is not None}
    with transaction() as session:
        limit = update_rate_limit(session, project, f"rl-{key or project}", RateLimitUpdate.model_validate(new))
        row = _row(limit)
    print_table(("OF", "REQUESTS/MIN", "BYTES/MIN", "JOBS/DAY", "OPEN JOBS"), [row])


def _number(text: str) -> int | None:
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS):
        raise Failure(f"A limit is a number of at most {DIGITS} digits, or `{DEFAULT}`: not {text}")
    return int(text)


def _row(limit: "RateLimit") -> list[str]:
    from shared.projects.rate_limits import limits_of

    found = limits_of(limit)
    shown = (found.requests_per_minute, found.bytes_per_minute, found.jobs_per_day, found.open_jobs)
    return [limit.api_key_id or limit.project_id, *("none" if each is None else str(each) for each in shown)]
