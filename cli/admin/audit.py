"""`tunery audit`: who has changed what, and who was refused. Reads through the API; removes in the database."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.api_client import PAGE_ITEMS, Found, admin_client
from cli.columns import at, print_table, say
from cli.failure import Failure

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

    from shared.audit.chain import Head, Report

app = typer.Typer(help="Who has changed what, and who was refused.", no_args_is_help=True)

Type = Annotated[list[str] | None, typer.Option("--type", help="Only these types, as project.created.")]
Project = Annotated[list[str] | None, typer.Option("--project", metavar="ID", help="Only in these projects.")]
Actor = Annotated[list[str] | None, typer.Option("--actor", help="Only by these: ids of keys, or operator.")]
Resource = Annotated[list[str] | None, typer.Option("--resource", metavar="ID", help="Only about these objects.")]
DAY_OR_SECOND = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
Since = Annotated[datetime | None, typer.Option(formats=DAY_OR_SECOND, help="From this time on, in UTC.")]
Until = Annotated[datetime | None, typer.Option(formats=DAY_OR_SECOND, help="Before this time, in UTC.")]
JSON_LINES = {"Accept": "application/x-ndjson"}


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
    wanted = _wanted(type, project, actor, resource, since, until)
    with admin_client() as client:
        entries = client.admin.organization.audit_logs.list(**wanted, limit=min(limit, PAGE_ITEMS))
        rows = [_row(entry.to_dict()) for entry in islice(entries, limit)]
    print_table(("TIME", "TYPE", "ACTOR", "OBJECT", "PROJECT", "ADDRESS", "TIMES"), rows)


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

    Entries of the last ten seconds are left for then. Example: `./tunery audit export --since 2026-11-01 > audit.jsonl`
    """
    wanted = _wanted(type, project, actor, resource, since, until) | ({"after": after} if after else {})
    with admin_client() as client:
        for line in _lines(client, wanted):
            print(line)


@app.command()
def prune(
    before: Annotated[datetime, typer.Option(formats=DAY_OR_SECOND, help="Remove what is older, in UTC.")],
) -> None:
    """Remove old entries for good. That is an entry itself. Postgres lets only the owner of the table do it.

    It connects with TUNERY_MIGRATION_DATABASE_URL, if that is set. With compose:
    `docker compose run --rm --no-deps migrate audit prune --before 2026-01-01`
    """
    from sqlmodel import Session

    from shared.audit import service as audit
    from shared.database import owner_engine

    with Session(owner_engine()) as session, session.begin():
        removed = audit.prune(session, before.replace(tzinfo=UTC))
    print(f"Removed {removed} entries from before {before:%Y-%m-%d %H:%M:%S} UTC.")


@app.command()
def verify(
    against: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="What an earlier `verify --json` printed: it must still hold."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check that no entry was changed, removed, added or moved behind the servers' back. Reads in the database.

    Each entry carries the hash of the one before it in the same project. Who owns the database can write a whole chain
    anew: keep what `--json` prints in another place, and give it to the next check with `--against`.

    Exit status: 0, or 1 if something is wrong.
    """
    from shared.audit import chain
    from shared.database import transaction

    noted = _noted(against) if against else {}
    with transaction() as session:
        report = chain.verify(session, noted)
    if as_json:
        heads = {name: head._asdict() for name, head in report.heads.items()}
        print(json.dumps({"status": "fail" if report.problems else "ok", **asdict(report), "heads": heads}))
    else:
        _print_report(report)
    if report.problems:
        raise typer.Exit(1)


def _noted(file: Path) -> "dict[str, Head]":
    from shared.audit.chain import Head

    try:
        heads = json.loads(file.read_text())["heads"]
        return {str(name): Head(int(head["entries"]), str(head["hash"])) for name, head in heads.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Failure(f"{file} is not what `tunery audit verify --json` prints.") from None


def _print_report(report: "Report") -> None:
    chains = f"{len(report.heads)} chain{'' if len(report.heads) == 1 else 's'}"
    print(f"{report.entries} entries in {chains} were read; {report.pruned} were pruned before.")
    if not report.problems:
        print("Each follows the one before it.")
        return
    listed = report.problems
    rows = [(p.kind, p.chain or "-", str(p.position or "-"), p.id or "-", str(p.count)) for p in listed]
    print_table(("WRONG", "PROJECT", "POSITION", "ENTRY", "TIMES"), rows)
    if (more := sum(report.counts.values()) - sum(each.count for each in listed)) > 0:
        say(f"{more} more are not listed.")


def _lines(client: "OpenAI", wanted: dict[str, Any]) -> Iterator[str]:
    """As the server streams them: an export may be larger than the memory."""
    streamed = client.admin.organization.audit_logs.with_streaming_response
    with streamed.list(**wanted, extra_headers=JSON_LINES) as response:
        yield from response.iter_lines()


def _wanted(
    types: list[str] | None,
    projects: list[str] | None,
    actors: list[str] | None,
    resources: list[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> dict[str, Any]:
    """The filters by the names of the SDK's parameters."""
    times = {name: _seconds(time) for name, time in (("gte", since), ("lt", until)) if time}
    named = {"event_types": types, "project_ids": projects, "actor_ids": actors, "resource_ids": resources}
    return {name: value for name, value in (named | {"effective_at": times}).items() if value}


def _seconds(time: datetime) -> int:
    return int(time.replace(tzinfo=UTC).timestamp())


def _row(entry: Found) -> list[str]:
    about = entry[entry["type"]]
    attempted = f" ({about['attempted']}: {about.get('error_code')})" if "attempted" in about else ""
    return [
        f"{at(entry['effective_at']):%Y-%m-%d %H:%M:%S}",
        entry["type"] + attempted,
        _actor(entry["actor"]),
        about.get("id") or "-",
        entry["project"]["id"] if entry.get("project") else "-",
        entry["ip_address"] or "-",
        str(entry["count"]),
    ]


def _actor(actor: Found) -> str:
    """`operator` is who worked at the database, `-` somebody of whom only the address is known."""
    if actor.get("api_key"):
        return str(actor["api_key"]["id"])
    return "operator" if (actor.get("session") or {}).get("user") else "-"
