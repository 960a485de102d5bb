"""`tunery project`: creates, lists, changes and archives the projects of a deployment, through its API."""

import math
from typing import Annotated

import typer

from cli.api_client import PAGE_ITEMS, Found, admin_client, of_project, post
from cli.columns import print_table, say, utc
from cli.failure import Failure

app = typer.Typer(
    help="The projects of a deployment, each with API keys of its own. OPENAI_BASE_URL and OPENAI_ADMIN_KEY say which.",
    no_args_is_help=True,
)

ProjectId = Annotated[str, typer.Argument(metavar="ID")]
SETTINGS_DECIDE = "as the settings say"
DEFAULT = "default"
MAX_DIGITS = 15


@app.command()
def create(name: Annotated[str, typer.Argument(help="The team's name.")]) -> None:
    """Create a project and print its first API key, which is never shown again."""
    with admin_client() as client:
        project = client.admin.organization.projects.create(name=name)
        say(f"Project {project.id} is created. This is its key; it is not shown again:")
        key = post(client, of_project(project.id, "api_keys"), {"name": "first"})
    print(key["value"])


@app.command("list")
def list_projects(
    archived: Annotated[bool, typer.Option("--archived", help="Show archived ones too.")] = False,
) -> None:
    """Show the projects, the newest first."""
    with admin_client() as client:
        found = client.admin.organization.projects.list(include_archived=archived, limit=PAGE_ITEMS)
        projects: list[Found] = [project.to_dict() for project in found]
    rows = [
        [
            each["id"],
            each["status"],
            each["name"],
            f"{utc(each['created_at']):%Y-%m-%d}",
            f"{each['weight']:g}",
            str(each["max_active_jobs"] or SETTINGS_DECIDE),
        ]
        for each in projects
    ]
    print_table(("PROJECT", "STATE", "NAME", "CREATED", "WEIGHT", "ACTIVE JOBS"), rows)


@app.command()
def update(
    project_id: ProjectId,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    weight: Annotated[
        float | None, typer.Option(help="Its share of the free slots beside other projects (new ones: 1).")
    ] = None,
    max_active_jobs: Annotated[
        int | None, typer.Option(help="The most jobs of one model at the provider; 0: as the settings say.")
    ] = None,
    default_provider: Annotated[
        str | None, typer.Option(help="Whose accounts go first for a base that several have; empty: the newest.")
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N|default", help="How much it may keep, as files=5000; default: of the settings."),
    ] = None,
) -> None:
    """Change a project's name, quotas, or share of the provider's slots, which counts from the next free slot on.

    Example: `./tunery project update proj_… --quota files=5000 --quota api_keys=default`
    """
    if weight is not None and not math.isfinite(weight):  # JSON has no such number
        raise Failure("A project's weight is from 0.001 to 1000.")
    quotas = dict(_quota(each) for each in quota) if quota else None
    given = {"name": name, "weight": weight, "max_active_jobs": max_active_jobs, "quotas": quotas}
    given["default_provider"] = default_provider
    with admin_client() as client:
        changes = {field: value for field, value in given.items() if value is not None}
        project = post(client, of_project(project_id), changes)
    _print(project, with_provider=default_provider is not None, with_quotas=quotas is not None)


def _print(project: Found, *, with_provider: bool, with_quotas: bool) -> None:
    """What has been changed is said even if it is as the settings say now."""
    most = project["max_active_jobs"] or SETTINGS_DECIDE
    print(f"{project['name']}: weight {project['weight']:g}, active jobs of one model at most: {most}.")
    if with_provider or project["default_provider"]:
        print(f"Default provider: {project['default_provider'] or 'the newest account that has the model'}.")
    own = [f"{each} {limit}" for each, limit in project["quotas"].items() if limit is not None]
    if with_quotas or own:
        print(f"Quotas: {', '.join(own)}; the others {SETTINGS_DECIDE}." if own else f"Quotas: all {SETTINGS_DECIDE}.")


def _quota(text: str) -> tuple[str, int | None]:
    name, _, limit = text.partition("=")
    if limit == DEFAULT:
        return name, None
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= MAX_DIGITS):
        raise Failure(f"A quota is a name, =, and a number of at most {MAX_DIGITS} digits or `{DEFAULT}`: not {text}")
    return name, int(limit)


@app.command()
def archive(
    project_id: ProjectId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End a project for good: its keys are refused, and its jobs that have not ended are cancelled."""
    yes or typer.confirm(f"Archive {project_id} and cancel its jobs? There is no way back", abort=True)
    with admin_client() as client:
        project = client.admin.organization.projects.archive(project_id)
    print(f"{project.name} is archived: its keys are refused, and its jobs that had not ended are cancelled.")
