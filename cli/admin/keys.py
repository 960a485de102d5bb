"""`tunery key`: the API keys of the projects, made, listed, rotated and revoked in the database."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # half a second that the help need not wait for
    from datetime import datetime

    from shared.projects.models import ApiKey

app = typer.Typer(help="The API keys of a project. Only a hint of each can be seen again.", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", show_default=False)]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", show_default=False, help="key_…")]
Name = Annotated[str, typer.Option(help="Who or what uses it.")]
Days = Annotated[
    int | None, typer.Option(min=1, max=3650, help="It is refused after so many days; never, if left out.")
]
Scopes = Annotated[
    list[str] | None, typer.Option("--scope", help="What it may do, as jobs:read; again for more. All, if left out.")
]
Overlap = Annotated[float, typer.Option(min=0, max=720, help="For how many hours the old secret is good as well.")]


@app.command()
def create(project: Project, name: Name = "key", expires_in_days: Days = None, scope: Scopes = None) -> None:
    """Make a key for a project and print it. It is never shown again.

    Example: `tunery key create proj_… --name ci --scope files:write --scope jobs:write --expires-in-days 90`
    """
    from shared.database import transaction
    from shared.projects import service as projects
    from shared.projects.scopes import PROJECT_SCOPES, check_known

    scopes = check_known(scope or [], PROJECT_SCOPES)
    with transaction() as session:
        projects.get_active_project(session, project)
        key, secret = projects.create_api_key(session, project, name, expires_at=expiry(expires_in_days), scopes=scopes)
    show_once(key, secret, "is made")


@app.command("list")
def list_keys(project: Project) -> None:
    """Show a project's keys, the newest first."""
    print_keys(project)


@app.command()
def rotate(key_id: KeyId, overlap_hours: Overlap = 24) -> None:
    """Give a key a new secret and print it. The old one stays good for a day, or as long as you say; 0: not at all.

    Example: `tunery key rotate key_… --overlap-hours 2`
    """
    rotate_key(key_id, overlap_hours)


@app.command()
def revoke(key_id: KeyId) -> None:
    """Let a key open nothing any more. Every server refuses it within a second."""
    revoke_key(key_id)


def expiry(days: int | None) -> "datetime | None":
    from datetime import timedelta

    from shared.db.times import utc_now

    return utc_now() + timedelta(days=days) if days else None


def show_once(key: "ApiKey", secret: str, done: str) -> None:
    print(f"Key {key.id} ({key.hint}, {_until(key)}) {done}. It is not shown again:", file=sys.stderr)
    print(secret)


def print_keys(project: str | None) -> None:
    """A project's, or with None the deployment's admin keys."""
    from cli.columns import print_table
    from shared.database import transaction
    from shared.projects.keys import list_api_keys

    with transaction() as session:
        rows = [
            [
                key.id,
                _state(key),
                key.name,
                key.hint,
                f"{key.created_at:%Y-%m-%d}",
                _until(key),
                f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used",
                " ".join(key.scopes) or "all",
            ]
            for key in list_api_keys(session, project)
        ]
    print_table(("KEY", "STATE", "NAME", "HINT", "CREATED", "EXPIRES", "LAST USED", "SCOPES"), rows)


def rotate_key(key_id: str, overlap_hours: float) -> None:
    from datetime import timedelta

    from shared.database import transaction
    from shared.projects import keys

    with transaction() as session:
        key = keys.find_key(session, key_id)
        secret = keys.rotate_key(session, key, timedelta(hours=overlap_hours))
    until = f"; its old secret is good until {key.previous_until:%Y-%m-%d %H:%M} UTC" if key.previous_until else ""
    show_once(key, secret, f"has a new secret{until}")


def revoke_key(key_id: str) -> None:
    from shared.database import transaction
    from shared.projects import keys

    with transaction() as session:
        key = keys.find_key(session, key_id, even_if_archived=True)
        keys.revoke(key)
    print(f"Key {key.id} ({key.hint}) is revoked.", file=sys.stderr)


def _until(key: "ApiKey") -> str:
    return f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "never expires"


def _state(key: "ApiKey") -> str:
    from shared.db.times import utc_now

    if key.revoked_at:
        return "revoked"
    return "expired" if key.expires_at and key.expires_at <= utc_now() else "active"
