"""`tunery admin-key`: the keys that open `/v1/organization`, made, listed, rotated and revoked in the database."""

import typer

from cli.admin.keys import Days, KeyId, Name, Overlap, Scopes, expiry, print_keys, revoke_key, rotate_key, show_once

app = typer.Typer(help="The admin keys, which look after projects and act for none.", no_args_is_help=True)


@app.command()
def create(name: Name = "admin", expires_in_days: Days = None, scope: Scopes = None) -> None:
    """Make an admin key and print it: OPENAI_ADMIN_KEY of the official SDK. It is never shown again.

    Example: `tunery admin-key create --name audits --scope admin:audit_logs:read`
    """
    from shared.database import transaction
    from shared.projects import service as projects
    from shared.projects.scopes import ADMIN_SCOPES, check_known

    scopes = check_known(scope or [], ADMIN_SCOPES)
    with transaction() as session:
        key, secret = projects.create_api_key(session, None, name, expires_at=expiry(expires_in_days), scopes=scopes)
    show_once(key, secret, "is made")


@app.command("list")
def list_keys() -> None:
    """Show the admin keys, the newest first."""
    print_keys(None)


@app.command()
def rotate(key_id: KeyId, overlap_hours: Overlap = 24) -> None:
    """Give an admin key a new secret and print it. The old one stays good for a day, or as long as you say."""
    rotate_key(key_id, overlap_hours)


@app.command()
def revoke(key_id: KeyId) -> None:
    """Let an admin key open nothing any more; the last one too, as this command can make another."""
    revoke_key(key_id)
