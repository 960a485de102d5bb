"""`tunery key`: the API keys of the projects, made, listed and revoked in the database."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # half a second that the help need not wait for
    from shared.projects.models import ApiKey

app = typer.Typer(help="The API keys of a project. Only a hint of each can be seen again.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", show_default=False)]


@app.command()
def create(
    project: Project,
    name: Annotated[str, typer.Option(help="Who or what uses it.")] = "key",
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="It is refused after so many days; never, if left out.")
    ] = None,
) -> None:
    """Make a key for a project and print it. It is never shown again.

    Example: `tunery key create proj_… --name ci --expires-in-days 90`
    """
    from datetime import timedelta

    from shared.database import transaction
    from shared.projects import service as projects
    from shared.tables import utc_now

    expires_at = utc_now() + timedelta(days=expires_in_days) if expires_in_days else None
    with transaction() as session:
        projects.get_project(session, project)
        key, secret = projects.create_api_key(session, project, name, expires_at=expires_at)
    print(f"Key {key.id} ({key.hint}, {_until(key)}) is made. It is not shown again:", file=sys.stderr)
    print(secret)


@app.command("list")
def list_keys(project: Project) -> None:
    """Show a project's keys, the newest first."""
    from cli.columns import print_table
    from shared.database import transaction
    from shared.projects.keys import list_api_keys

    with transaction() as session:
        rows = [
            [key.id, _state(key), key.name, key.hint, f"{key.created_at:%Y-%m-%d}", _until(key)]
            for key in list_api_keys(session, project)
        ]
    print_table(("KEY", "STATE", "NAME", "HINT", "CREATED", "EXPIRES"), rows)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="KEY_ID", show_default=False, help="key_…")]) -> None:
    """Let a key open nothing any more. Every server refuses it within a second."""
    from shared.database import transaction
    from shared.projects.keys import revoke_api_key

    with transaction() as session:
        key = revoke_api_key(session, key_id)
    print(f"Key {key.id} ({key.hint}) is revoked.", file=sys.stderr)


def _until(key: "ApiKey") -> str:
    return f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "never expires"


def _state(key: "ApiKey") -> str:
    from shared.tables import utc_now

    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= utc_now() else "active"
