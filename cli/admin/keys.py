"""`tunery key`: creates, lists, rotates and revokes the API keys of projects, through the API."""

import time
from collections.abc import Iterable
from typing import Annotated

import typer

from cli.api_client import Found, admin_client, get, list_all, of_project, path, post
from cli.columns import print_table, say, utc
from cli.failure import Failure

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
Networks = Annotated[
    list[str] | None,
    typer.Option(
        "--network", help="From where it may be used, as 203.0.113.0/24; again for more. Anywhere, if left out."
    ),
]
Anywhere = Annotated[bool, typer.Option("--from-anywhere", help="Let it be used from everywhere again.")]
Overlap = Annotated[float, typer.Option(min=0, max=720, help="For how many hours the old secret is good as well.")]
DAY_SECONDS, HOUR_SECONDS = 86400, 3600


@app.command()
def create(
    project: Project, name: Name = "key", expires_in_days: Days = None, scope: Scopes = None, network: Networks = None
) -> None:
    """Create a key for a project and print it. It is never shown again.

    Example: `./tunery key create proj_… --name ci --scope files:write --scope jobs:write --expires-in-days 90`
    """
    lifetime = expires_in_days and expires_in_days * DAY_SECONDS
    new = {
        "name": name,
        "expires_in_seconds": lifetime,
        "scopes": scope or [],
        "allowed_networks": network or [],
    }
    with admin_client() as client:
        show_once(post(client, of_project(project, "api_keys"), new), "is created")


@app.command("list")
def list_keys(project: Project) -> None:
    """Show a project's keys, the newest first."""
    with admin_client() as client:
        print_keys(list_all(client, of_project(project, "api_keys"), {"include_revoked": True}))


@app.command()
def update(key_id: KeyId, network: Networks = None, from_anywhere: Anywhere = False) -> None:
    """Change from where a key may be used, within a second.

    Example: `./tunery key update key_… --network 203.0.113.0/24 --network 2001:db8::/32`
    """
    allowed = networks_of(network, from_anywhere)
    with admin_client() as client:
        project = get(client, path("organization", "api_keys", key_id))["project_id"]
        print_keys([post(client, of_project(project, "api_keys", key_id), {"allowed_networks": allowed})])


@app.command()
def rotate(key_id: KeyId, overlap_hours: Overlap = 24) -> None:
    """Give a key a new secret and print it. The old one stays good for a day, or as long as you say; 0: not at all.

    Example: `./tunery key rotate key_… --overlap-hours 2`
    """
    overlap = {"overlap_seconds": round(overlap_hours * HOUR_SECONDS)}
    with admin_client() as client:
        project = get(client, path("organization", "api_keys", key_id))["project_id"]
        show_rotated(post(client, of_project(project, "api_keys", key_id, "rotate_secret"), overlap))


@app.command()
def revoke(key_id: KeyId) -> None:
    """Let a key open nothing any more. Every server refuses it within a second."""
    with admin_client() as client:
        key = get(client, path("organization", "api_keys", key_id))
        if key["revoked_at"] is None:
            client.admin.organization.projects.api_keys.delete(key_id, project_id=key["project_id"])
    show_revoked(key)


def networks_of(given: list[str] | None, from_anywhere: bool) -> list[str]:
    if bool(given) is from_anywhere:
        raise Failure("Say either --network, once for each, or --from-anywhere.")
    return given or []


def show_once(key: Found, what_happened: str) -> None:
    """The secret goes to standard output alone, so that a script can read it from there."""
    say(f"Key {key['id']} ({key['redacted_value']}, {_until(key)}) {what_happened}. It is not shown again:")
    print(key["value"])


def show_rotated(key: Found) -> None:
    old_until = key["previous_valid_until"]
    old = f"; its old secret is good until {utc(old_until):%Y-%m-%d %H:%M} UTC" if old_until else ""
    show_once(key, f"has a new secret{old}")


def show_revoked(key: Found) -> None:
    say(f"Key {key['id']} ({key['redacted_value']}) is revoked.")


def print_keys(keys: Iterable[Found]) -> None:
    rows = [
        [
            key["id"],
            _state(key),
            key["name"],
            key["redacted_value"],
            f"{utc(key['created_at']):%Y-%m-%d}",
            _until(key),
            f"{utc(key['last_used_at']):%Y-%m-%d %H:%M}" if key["last_used_at"] else "never used",
            " ".join(key["allowed_networks"]) or "anywhere",
            " ".join(key["scopes"]) or "all",
        ]
        for key in keys
    ]
    print_table(("KEY", "STATE", "NAME", "HINT", "CREATED", "EXPIRES", "LAST USED", "FROM", "SCOPES"), rows)


def _until(key: Found) -> str:
    return f"until {utc(key['expires_at']):%Y-%m-%d}" if key["expires_at"] else "never expires"


def _state(key: Found) -> str:
    if key["revoked_at"]:
        return "revoked"
    return "expired" if key["expires_at"] and key["expires_at"] <= time.time() else "active"
