"""`tunery secrets`: what is stored under a key of the settings, moved to the newest of them."""

import sys

import typer

REMEDY = (
    "no key of TUNERY_SECRET_KEYS opens its signing secret. Put back the key that it was sealed with, "
    "or rotate the endpoint's secret."
)

app = typer.Typer(help="The secrets that are sealed in the database.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `rotate` a word of its own while it is the only one."""


@app.command()
def rotate() -> None:
    """Seal everything again with the first of TUNERY_SECRET_KEYS, so that the others can be removed.

    Put the new key first and keep the old one, on every server; rotate; then remove the old one everywhere. Servers
    may run meanwhile, and a second run finds nothing to do.

    Exit status: 0 if the first key opens everything now, 1 if something is left that no key opens.
    """
    from shared import idempotency
    from shared.database import transaction
    from shared.webhooks.resealing import reseal_after

    resealed, kept, unopened, last_id = 0, 0, [], ""
    while True:
        with transaction() as session:
            batch = reseal_after(session, last_id)
        if batch is None:
            break
        last_id = batch.last_id
        resealed += batch.resealed
        kept += batch.kept
        unopened += batch.unopened
    answer_id: str | None = ""
    while answer_id is not None:
        with transaction() as session:
            answer_id = idempotency.reseal_after(session, answer_id)
    print(f"Sealed again with the first key: {resealed}. Sealed with it already: {kept}.")
    for endpoint_id in unopened:
        print(f"{endpoint_id}: {REMEDY}", file=sys.stderr)
    if unopened:
        raise typer.Exit(1)
