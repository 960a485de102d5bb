"""`tunery limit`: shows and changes what a project may spend, through the API."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from cli.api_client import Found, admin_client, get, of_project, post

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

app = typer.Typer(help="What a project may spend in a calendar month (UTC).", no_args_is_help=True)

Project = Annotated[str, typer.Argument(metavar="PROJECT_ID", show_default=False)]
NO_LIMIT = "none"


@app.command("set")
def set_limit(
    project: Project,
    amount: Annotated[
        str | None, typer.Argument(metavar="[AMOUNT]", help="In USD, such as 500 or 499.99; none: no limit.")
    ] = None,
    alert: Annotated[
        list[int] | None,
        typer.Option(min=1, max=100, metavar="PERCENT", help="Alert the project at so many percent; repeat it."),
    ] = None,
    approval_above: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="A job that may cost more waits for an approval; none: no job.")
    ] = None,
) -> None:
    """Change what a project may spend; what is left out stays as it is.

    Example: `./tunery limit set proj_… 500 --alert 50 --alert 90 --approval-above 100`
    """
    spend, approval = _checked(amount), _checked(approval_above)
    with admin_client() as client:
        if spend is not None or alert is not None:
            _set_spend_limit(client, project, spend, alert)
        if approval == NO_LIMIT:
            _delete(client, of_project(project, "approval_limit"))
        elif approval is not None:
            new = {"currency": "USD", "threshold_amount": _cents(approval)}
            post(client, of_project(project, "approval_limit"), new)
        print(_description(client, project))


@app.command("show")
def show_limit(project: Project) -> None:
    """Show what a project may spend, what it has spent this month, and what is reserved for jobs."""
    with admin_client() as client:
        print(_description(client, project))


def _checked(amount: str | None) -> str | None:
    if amount is None or amount == NO_LIMIT or re.fullmatch(r"\d{1,11}(\.\d{1,2})?", amount):
        return amount
    raise typer.BadParameter("must be an amount in USD such as 500 or 499.99, or none")


def _cents(amount: str) -> int:
    return int(Decimal(amount) * 100)


def _set_spend_limit(client: "OpenAI", project: str, amount: str | None, alerts: list[int] | None) -> None:
    address = of_project(project, "spend_limit")
    if amount == NO_LIMIT:
        _delete(client, address)
        return
    new: Found = {"currency": "USD", "interval": "month"}
    new |= {} if amount is None else {"threshold_amount": _cents(amount)}
    new |= {} if alerts is None else {"alert_percentages": alerts}
    post(client, address, new)


def _find(client: "OpenAI", address: str) -> Found | None:
    from openai import NotFoundError

    try:
        found: Found = get(client, address)
    except NotFoundError:
        return None
    return found


def _delete(client: "OpenAI", address: str) -> None:
    """A limit that is not there needs no removal."""
    if _find(client, address) is not None:
        client.delete(address, cast_to=object)


def _description(client: "OpenAI", project_id: str) -> str:
    name = client.admin.organization.projects.retrieve(project_id).name
    limit = _find(client, of_project(project_id, "spend_limit"))
    approval = _find(client, of_project(project_id, "approval_limit"))
    usage = get(client, of_project(project_id, "usage")) if limit is None else {}
    spent, reserved = (limit["spent"], limit["reserved"]) if limit else (usage["cost"], usage["reserved"])
    alerts = ", ".join(f"{percent} %" for percent in limit["alert_percentages"]) if limit else ""
    return "\n".join(
        [
            f"{name}, {datetime.now(UTC):%Y-%m}: {spent} USD spent, {reserved} USD reserved for jobs",
            f"Limit:    {_usd(limit) if limit else NO_LIMIT}{f', alerts at {alerts}' if alerts else ''}",
            f"Approval: {f'above {_usd(approval)} for a job' if approval else 'not needed'}",
        ]
    )


def _usd(limit: Found) -> str:
    return f"{limit['threshold_amount'] / Decimal(100):.2f} USD"
