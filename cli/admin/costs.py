"""`tunery cost`: shows what projects have spent in a month, through the API."""

import json as json_module
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.api_client import PAGE_ITEMS, Found, admin_client
from cli.columns import print_table

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

AsJSON = Annotated[bool, typer.Option("--json", help="For programs; its fields are stable.")]
MAX_DAYS = 31  # in a month: the API sums up by days


def cost(
    month: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m"], help="A calendar month in UTC; this one, if left out.")
    ] = None,
    project: Annotated[str | None, typer.Option(metavar="PROJECT_ID", help="Of this one alone.")] = None,
    json: AsJSON = False,
) -> None:
    """Show what was spent in a month, by project and line item.

    Example: `./tunery cost --month 2026-11 --json`
    """
    start = (month or datetime.now(UTC)).replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    with admin_client() as client:
        page = client.admin.organization.usage.costs(
            start_time=int(start.timestamp()),
            end_time=int(end.timestamp()),
            group_by=["project_id", "line_item"],
            project_ids=[project] if project else [],
            limit=MAX_DAYS,
        )
        days: Any = page.to_dict()["data"]
        found = [result for day in days for result in day["results"]]
        rows = _sums(found, _names(client) if found else {})
    print(json_module.dumps(rows, indent=2)) if json else _print_costs(rows)


def _names(client: "OpenAI") -> dict[str, str]:
    """Of all projects by their ids, since archived ones have spent too."""
    projects = client.admin.organization.projects.list(include_archived=True, limit=PAGE_ITEMS)
    return {project.id: str(project.name) for project in projects}


def _sums(found: list[Found], names: dict[str, str]) -> list[Found]:
    """The sum of all days, by project name, and in each project the dearest line item first."""
    amounts: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    tokens: dict[tuple[str, str, str], int] = {}
    for each in found:
        key = (each["project_id"], each["line_item"], each["amount"]["currency"].upper())
        amounts[key] += Decimal(each["amount"]["exact_value"])
        if each["quantity"] is not None:
            tokens[key] = tokens.get(key, 0) + int(each["quantity"])
    return [
        {
            "project_id": project_id,
            "project": names.get(project_id, project_id),
            "line_item": line_item,
            "amount": f"{amount:f}",
            "currency": currency,
            "tokens": tokens.get((project_id, line_item, currency)),
        }
        for (project_id, line_item, currency), amount in sorted(
            amounts.items(), key=lambda item: (names.get(item[0][0], ""), item[0][0], -item[1])
        )
    ]


def _print_costs(rows: list[Found]) -> None:
    """The last line of each currency is the sum."""
    cells = [
        [
            f"{row['project']} ({row['project_id']})",
            row["line_item"],
            f"{row['amount']} {row['currency']}",
            f"{row['tokens']:,}" if row["tokens"] is not None else "",
        ]
        for row in rows
    ]
    for currency in sorted({row["currency"] for row in rows}):
        total = sum((Decimal(row["amount"]) for row in rows if row["currency"] == currency), Decimal())
        cells.append(["together", "", f"{total:f} {currency}", ""])
    print_table(("PROJECT", "LINE ITEM", "AMOUNT", "TOKENS"), cells)
