"""`tunery admin-key`: the keys that open `/v1/organization`, in the database.

These commands need no server and no key, since they make the first admin key, and replace one that was lost or leaked.
"""

import typer

from cli.admin.keys import (
    DAY_SECONDS,
    Anywhere,
    Days,
    KeyId,
    Name,
    Networks,
    Overlap,
    Scopes,
    networks_of,
    print_keys,
    show_once,
    show_revoked,
    show_rotated,
)
from cli.failure import Failure

app = typer.Typer(
    help="The admin keys, for administration alone: no project's requests are made with them.", no_args_is_help=True
)

MAX_KEYS_SHOWN = 10_000


@app.command()
def create(name: Name = "admin", expires_in_days: Days = None, scope: Scopes = None, network: Networks = None) -> None:
    """Create an admin key and print it: OPENAI_ADMIN_KEY of the official SDK. It is never shown again.

    Example: `./tunery admin-key create --name audits --scope admin:audit_logs:read`
    """
    from shared.audit.actor import acting_as_operator
    from shared.database import transaction
    from shared.projects import service as projects
    from shared.projects.key_schemas import AdminKeyPublic, expiry_after
    from shared.projects.scopes import ADMIN_SCOPES, check_known

    scopes, networks = check_known(scope or [], ADMIN_SCOPES), _normal(network or [])
    expires_at = expiry_after(expires_in_days and expires_in_days * DAY_SECONDS)
    with acting_as_operator({"api_keys": "api_key.created"}), transaction() as session:
        key, secret = projects.create_api_key(
            session, None, name, expires_at=expires_at, scopes=scopes, allowed_networks=networks
        )
    show_once({**AdminKeyPublic.of(key).model_dump(), "value": secret}, "is created")


@app.command("list")
def list_keys() -> None:
    """Show the admin keys, the newest first."""
    from shared.database import transaction
    from shared.projects import keys
    from shared.projects.key_schemas import AdminKeyPublic

    with transaction() as session:
        found = keys.page_of_keys(session, None, after=None, limit=MAX_KEYS_SHOWN, include_revoked=True)
        print_keys([AdminKeyPublic.of(key).model_dump() for key in found])


@app.command()
def update(key_id: KeyId, network: Networks = None, from_anywhere: Anywhere = False) -> None:
    """Change from where an admin key may be used, within a second."""
    from shared.audit.actor import acting_as_operator
    from shared.database import transaction
    from shared.projects import keys
    from shared.projects.key_schemas import AdminKeyPublic

    allowed = _normal(networks_of(network, from_anywhere))
    with acting_as_operator({"api_keys": "api_key.updated"}), transaction() as session:
        key = keys.bind_admin_key(session, key_id, allowed)
    print_keys([AdminKeyPublic.of(key).model_dump()])


def _normal(networks: list[str]) -> list[str]:
    from shared.projects.networks import normal_network

    try:
        return [normal_network(each) for each in networks]
    except ValueError as error:
        raise Failure(f"A network {error}.") from None


@app.command()
def rotate(key_id: KeyId, overlap_hours: Overlap = 24) -> None:
    """Give an admin key a new secret and print it. The old one stays good for a day, or as long as you say."""
    from datetime import timedelta

    from shared.audit.actor import acting_as_operator
    from shared.database import transaction
    from shared.projects import keys
    from shared.projects.key_schemas import AdminKeyPublic

    with acting_as_operator({"api_keys": "api_key.secret_rotated"}), transaction() as session:
        key = keys.find_key(session, key_id, is_admin=True, lock=True)
        secret = keys.rotate_key(session, key, timedelta(hours=overlap_hours))
    show_rotated({**AdminKeyPublic.of(key).model_dump(), "value": secret})


@app.command()
def revoke(key_id: KeyId) -> None:
    """Let an admin key open nothing any more; the last one too, as this command can make another."""
    from shared.audit.actor import acting_as_operator
    from shared.database import transaction
    from shared.projects import keys
    from shared.projects.key_schemas import AdminKeyPublic

    with acting_as_operator({"api_keys": "api_key.deleted"}), transaction() as session:
        key = keys.find_key(session, key_id, is_admin=True, lock=True)
        keys.revoke(key)
    show_revoked(AdminKeyPublic.of(key).model_dump())
