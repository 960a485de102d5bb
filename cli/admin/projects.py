"""`tunery project`: the tenants of this deployment, made, listed, changed and archived in the database."""

import sys
from typing import Annotated

import typer

app = typer.Typer(help="The projects of this deployment, each with API keys of its own.", no_args_is_help=True)

ProjectId = Annotated[str, typer.Argument(metavar="ID")]


@app.command()
def create(name: Annotated[str, typer.Argument(help="The team's name.")]) -> None:
    """Create a project and print its first API key, which is never shown again."""
    from cli.admin.deployment import create_project_with_key

    created = create_project_with_key(name)
    print(f"Project {created.id} is made. This is its key; it is not shown again:", file=sys.stderr)
    print(created.secret)


@app.command("list")
def list_projects(
    archived: Annotated[bool, typer.Option("--archived", help="Show archived ones too.")] = False,
) -> None:
    """Show the projects, the newest first."""
    from cli.admin.deployment import all_projects
    from cli.columns import print_table

    rows = [
        [
            each.id,
            "archived" if each.archived_at else "active",
            each.name,
            f"{each.created_at:%Y-%m-%d}",
            f"{each.weight:g}",
            str(each.max_active_jobs or "as the settings say"),
        ]
        for each in all_projects(include_archived=archived)
    ]
    print_table(("PROJECT", "STATE", "NAME", "CREATED", "WEIGHT", "ACTIVE JOBS"), rows)


@app.command()
def update(
    project_id: ProjectId,
    name: Annotated[str | None, typer.Option(help="What it is called from now on.")] = None,
    weight: Annotated[float | None, typer.Option(help="Its share of free places beside others' (new ones: 1).")] = None,
    max_active_jobs: Annotated[
        int | None, typer.Option(help="The most jobs of one model at the provider; 0: as the settings say.")
    ] = None,
) -> None:
    """Change a project's name, or its part in the queue for the provider's places: from the next free place on."""
    from cli.admin.deployment import update_project

    print(update_project(project_id, weight, max_active_jobs, name))


@app.command()
def archive(
    project_id: ProjectId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End a project, for good: its keys are refused, and its jobs that have not ended are cancelled."""
    from shared.database import transaction
    from shared.jobs.archiving import archive_project

    yes or typer.confirm(f"Archive {project_id} and cancel its jobs? There is no way back", abort=True)
    with transaction() as session:
        project = archive_project(session, project_id)
    print(f"{project.name} is archived: its keys are refused, and its jobs that had not ended are cancelled.")
