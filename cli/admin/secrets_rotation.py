"""`tunery secrets`: what is stored under a key of the settings, moved to the newest of them, or given up."""

import sys
from typing import Annotated

import typer

REMEDY = (
    "no key of TUNERY_SECRET_KEYS opens its secret. Put back the key that it was sealed with, "
    "or give it a new one: an endpoint by rotating its secret, a credential by an update."
)

app = typer.Typer(help="The secrets that are sealed in the database.", no_args_is_help=True)


@app.command()
def rotate() -> None:
    """Seal everything again with the first of TUNERY_SECRET_KEYS, so that the others can be removed.

    Put the new key first and keep the old one, on every server; rotate; then remove the old one everywhere. Servers
    may run meanwhile, and a second run finds nothing to do.

    Exit status: 0 if the first key opens everything now, 1 if something is left that no key opens.
    """
    from shared.key_rotation.reseal import reseal_all

    done = reseal_all()
    print(f"Sealed again with the first key: {done.resealed}. Sealed with it already: {done.unchanged}.")
    for id in done.unopened:
        print(f"{id}: {REMEDY}", file=sys.stderr)
    if done.unopened:
        raise typer.Exit(1)


@app.command()
def forget(
    key: Annotated[str, typer.Argument(metavar="KEY", show_default=False, help="The lost key's id, as it was told.")],
) -> None:
    """Give up what only a lost key opens, so that the servers start without it. It cannot be undone.

    A credential is left without its key until it is given a new one; a webhook endpoint is disabled until its owner
    has rotated its secret and enabled it.
    """
    from shared.database import transaction
    from shared.key_rotation import startup_check

    with transaction() as session:
        given_up = startup_check.forget(session, key)
    for id in given_up:
        print(id)
    print(f"Given up: {len(given_up)}.", file=sys.stderr)
