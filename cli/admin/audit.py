"""`tunery audit`: who has changed what, and who was refused; and what the changes of each command are called there."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from shared.audit.actor import Changes

if TYPE_CHECKING:  # half a second that the help need not wait for
    from shared.audit.schemas import AuditLogPublic
    from shared.audit.service import Filter

_CREATED = {"api_keys": "api_key.created", "service_accounts": "service_account.created"}
_ROTATED = {"api_keys": "api_key.secret_rotated"}
_REVOKED = {"api_keys": "api_key.deleted"}
# By the first words of a command: the table whose row it is about, and the same words for the change as in the api.
CHANGES: Mapping[str, Changes] = {
    "project create": {"projects": "project.created", **_CREATED},
    "project update": {"projects": "project.updated"},
    "project archive": {"projects": "project.archived", "jobs": "fine_tuning.job.cancelled"},
    "key create": _CREATED,
    "key rotate": _ROTATED,
    "key revoke": _REVOKED,
    "admin-key create": _CREATED,
    "admin-key rotate": _ROTATED,
    "admin-key revoke": _REVOKED,
    "rate-limit set": {"rate_limits": "rate_limit.updated"},
    "credential create": {"credentials": "credential.created"},
    "credential update": {"credentials": "credential.updated"},
    "credential delete": {"credentials": "credential.deleted"},
    "limit set": {"budgets": "spend_limit.updated"},
}
# Commands that change nothing in the database, or what is no change of an object, and why.
NO_CHANGES: Mapping[str, str] = {
    "demo": "has a database of its own",
    "up": "starts servers",
    "api": "starts a server",
    "worker": "starts a server",
    "sender": "starts a server",
    "beat": "starts a server",
    "migrate": "changes the schema",
    "test": "has a database of its own",
    "lint": "has a database of its own",
    "lock": "changes files",
    "key list": "reads",
    "admin-key list": "reads",
    "project list": "reads",
    "rate-limit list": "reads",
    "limit show": "reads",
    "credential list": "reads",
    "credential test": "asks the provider",
    "cost": "reads",
    "reconcile": "does what a worker does once a day",
    "secrets rotate": "seals the same secrets anew",
    "secrets forget": "removes what no key opens any more",
    "audit list": "reads",
    "audit export": "reads",
    "audit prune": "says so itself",
    "datasets": "works on files",
    "webhooks": "asks the api, with a key",
}

app = typer.Typer(help="Who has changed what, and who was refused.", no_args_is_help=True)

Type = Annotated[list[str] | None, typer.Option("--type", help="Only these types, as project.created.")]
Project = Annotated[list[str] | None, typer.Option("--project", metavar="ID", help="Only in these projects.")]
Actor = Annotated[list[str] | None, typer.Option("--actor", help="Only by these: ids of keys, or operator.")]
Resource = Annotated[list[str] | None, typer.Option("--resource", metavar="ID", help="Only about these objects.")]
DAY_OR_SECOND = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Since = Annotated[datetime | None, typer.Option(formats=DAY_OR_SECOND, help="From this time on, in UTC.")]
Until = Annotated[datetime | None, typer.Option(formats=DAY_OR_SECOND, help="Before this time, in UTC.")]


@app.command("list")
def list_entries(
    type: Type = None,
    project: Project = None,
    actor: Actor = None,
    resource: Resource = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> None:
    """Show the newest entries."""
    from cli.columns import print_table
    from shared.audit.service import list_logs
    from shared.database import transaction

    wanted = _wanted(type, project, actor, resource, since, until)
    with transaction() as session:
        found = list_logs(session, wanted, limit=limit)[:limit]
    print_table(("TIME", "TYPE", "ACTOR", "OBJECT", "PROJECT", "ADDRESS", "TIMES"), [_row(each) for each in found])


@app.command()
def export(
    type: Type = None,
    project: Project = None,
    actor: Actor = None,
    resource: Resource = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[str, typer.Option(metavar="ID", help="From the entry after this one on.")] = "",
) -> None:
    """Write all entries as JSON lines, the oldest first. The last line's id is the next export's --after.

    Entries of the last ten seconds are left for then. Example: `tunery audit export --since 2026-11-01 > audit.jsonl`
    """
    from shared.audit import service as audit
    from shared.database import transaction

    wanted = _wanted(type, project, actor, resource, since, until)
    while True:
        with transaction() as session:
            found = audit.export(session, wanted, after)
        for each in found:
            print(each.model_dump_json())
        if len(found) < audit.EXPORT_BATCH_ROWS:
            return
        after = found[-1].id


@app.command()
def prune(
    before: Annotated[datetime, typer.Option(formats=DAY_OR_SECOND, help="Remove what is older, in UTC.")],
) -> None:
    """Remove old entries for good. That is an entry itself. Postgres lets only the owner of the table do it."""
    from datetime import UTC

    from shared.audit import service as audit
    from shared.database import transaction

    with transaction() as session:
        removed = audit.prune(session, before.replace(tzinfo=UTC))
    print(f"Removed {removed} entries from before {before:%Y-%m-%d %H:%M:%S} UTC.")


def changes_of(arguments: list[str]) -> Changes:
    """What a command line changes."""
    return CHANGES.get(" ".join(arguments[:2]), {})


def _wanted(
    types: list[str] | None,
    projects: list[str] | None,
    actors: list[str] | None,
    resources: list[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> "Filter":
    from shared.audit.service import Filter

    return Filter(_seconds(since), _seconds(until), types or None, actors or None, projects or None, resources or None)


def _seconds(time: datetime | None) -> int | None:
    from datetime import UTC

    return None if time is None else int(time.replace(tzinfo=UTC).timestamp())


def _row(entry: "AuditLogPublic") -> list[str]:
    from cli.columns import at

    about = entry.model_dump()[entry.type]
    who = entry.actor.api_key.id if entry.actor.api_key else "operator"
    if entry.actor.session is not None and entry.actor.session.user is None:
        who = "-"
    attempted = f" ({about['attempted']}: {about.get('error_code')})" if "attempted" in about else ""
    return [
        f"{at(entry.effective_at):%Y-%m-%d %H:%M:%S}",
        entry.type + attempted,
        who,
        about.get("id") or "-",
        entry.project.id if entry.project else "-",
        entry.ip_address or "-",
        str(entry.count),
    ]
