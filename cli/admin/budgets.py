"""`tunery limit` and `tunery cost`: what projects may spend, and what they have spent, in the database."""

import json as json_module
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # half a second that the help need not wait for
    from sqlmodel import Session

limits = typer.Typer(help="What a project may spend in a calendar month (UTC).", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", show_default=False)]
AsJSON = Annotated[bool, typer.Option("--json", help="For programs; its fields are stable.")]


def _cents(amount: str | None) -> int | None:
    """`500` and `499.99` are amounts, and `none` takes a limit away."""
    from shared.budgets.limits import NO_LIMIT

    if amount is None:
        return None
    if amount == "none":
        return NO_LIMIT
    if not re.fullmatch(r"\d{1,11}(\.\d{1,2})?", amount):
        raise typer.BadParameter("must be an amount in USD such as 500 or 499.99, or none")
    return int(Decimal(amount) * 100)


@limits.command("set")
def set_limit(
    project: Project,
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="In USD, such as 500 or 499.99; none: no limit.")
    ] = None,
    alert: Annotated[
        list[int] | None,
        typer.Option(min=1, max=100, metavar="PERCENT", help="Tell the project at so many percent; repeat it."),
    ] = None,
    approval_above: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="A job that may cost more waits for an approval; none: no job.")
    ] = None,
) -> None:
    """Change what a project may spend; what is left out stays as it is.

    Example: `tunery limit set proj_… 500 --alert 50 --alert 90 --approval-above 100`
    """
    from shared.budgets import limits
    from shared.database import transaction

    with transaction() as session:
        limits.change(session, project, _cents(amount), alert, _cents(approval_above))
        print(_told(session, project))


@limits.command("show")
def show_limit(project: Project) -> None:
    """Show what a project may spend, what it has spent this month, and what is reserved for jobs."""
    from shared.database import transaction

    with transaction() as session:
        print(_told(session, project))


def _told(session: "Session", project_id: str) -> str:
    from shared.budgets import ledger
    from shared.budgets.amounts import money
    from shared.budgets.service import budget_of
    from shared.projects import service as projects

    name, budget = projects.get_project(session, project_id).name, budget_of(session, project_id)
    month = ledger.this_month()
    sums = ledger.sums(session, project_id, month)
    limit = budget.spend_limit if budget else None
    above = budget.approval_above if budget else None
    alerts = ", ".join(f"{percent} %" for percent in budget.alert_percentages) if budget and limit is not None else ""
    return "\n".join(
        [
            f"{name}, {month:%Y-%m}: {money(sums.spent)} spent, {money(sums.reserved)} reserved for jobs",
            f"Limit:    {money(limit) if limit is not None else 'none'}{f', told at {alerts}' if alerts else ''}",
            f"Approval: {f'above {money(above)} for a job' if above is not None else 'not needed'}",
        ]
    )


def cost(
    month: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m"], help="A calendar month in UTC; this one, if left out.")
    ] = None,
    project: Annotated[str | None, typer.Option(metavar="PROJECT_ID", help="Of this one alone.")] = None,
    json: AsJSON = False,
) -> None:
    """Show what was spent in a month, by project and line item.

    Example: `tunery cost --month 2026-11 --json`
    """
    from shared.budgets import costs
    from shared.budgets.amounts import text_of
    from shared.database import transaction

    start = (month or datetime.now(UTC)).replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    with transaction() as session:
        found = costs.totals(session, start, end, project)
    rows = [
        {
            "project_id": each.project_id,
            "project": each.project,
            "line_item": each.line_item,
            "amount": text_of(each.amount),
            "currency": each.currency,
            "tokens": each.quantity and int(each.quantity),
        }
        for each in found
    ]
    print(json_module.dumps(rows, indent=2)) if json else _print_costs(rows)


def _print_costs(rows: list[dict[str, str | int | None]]) -> None:
    """The last line of each currency is the sum."""
    from cli.columns import print_table
    from shared.budgets.amounts import text_of

    cells = [
        [
            f"{row['project']} ({row['project_id']})",
            str(row["line_item"]),
            f"{row['amount']} {row['currency']}",
            f"{row['tokens']:,}" if row["tokens"] is not None else "",
        ]
        for row in rows
    ]
    for currency in sorted({str(row["currency"]) for row in rows}):
        total = sum((Decimal(str(row["amount"])) for row in rows if row["currency"] == currency), Decimal())
        cells.append(["together", "", f"{text_of(total)} {currency}", ""])
    print_table(("PROJECT", "LINE ITEM", "AMOUNT", "TOKENS"), cells)
