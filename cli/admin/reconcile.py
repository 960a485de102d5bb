"""`tunery reconcile`: what crashes have left at the provider, shown, and mended."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.columns import print_table, say

if TYPE_CHECKING:  # half a second that the help need not wait for
    from worker.accounts.findings import Finding


def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")] = False,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored", help="The database was put back: cancel jobs and stop deployments that it has forgotten."
        ),
    ] = False,
) -> None:
    """Compare the provider with what is known here: adopt or end jobs and deployments, delete files that nothing needs.

    Only what carries the marks of this installation is touched. A worker does the same once a day, but for --restored.
    """
    from sqlmodel import col, select

    from cli.failure import Failure
    from shared.database import transaction
    from shared.projects.models import Credential
    from worker.accounts import reconcile as reconciliation
    from worker.providers.errors import ProviderError

    with transaction() as session:
        there = select(Credential).where(col(Credential.deleted_at).is_(None))
        credentials = list(session.exec(there.order_by(col(Credential.id))))
    rows, unasked = [], []
    for credential in credentials:
        try:
            found = reconciliation.find(credential, restored=restored)
        except ProviderError as error:
            unasked.append(f"{credential.id}: {error.message}")
            continue
        rows += [_row(each) for each in found]
        if not dry_run:
            reconciliation.carry_out(credential, found)
    if rows:
        print_table(("ACTION", "AT THE PROVIDER", "OURS", "MADE", "WHY"), rows)
    elif not unasked:
        say("Nothing is left at the provider that is not known here.")
    if unasked:
        raise Failure("\n".join(["These accounts could not be asked:", *unasked]))


def _row(each: "Finding") -> list[str]:
    return [each.action, each.id, each.ours, f"{each.made_at:%Y-%m-%d %H:%M}", each.why]
