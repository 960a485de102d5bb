"""`tunery doctor`: what is configured, what works, and what to do about the rest."""

import dataclasses
import json
from functools import partial
from typing import Annotated, Any

import typer

from cli.columns import COLOURS, printable, screen
from cli.running_up import Filled

SECONDS_FOR_CHECKS = 15.0  # all together; a call within one has 4 s


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show the settings that have their defaults too.")] = False,
) -> None:
    """Check the settings, the database, its roles, the broker, the storage, the provider, the clock and the versions;
    say where the metrics are.

    Each line is ok, warn or fail, with what to do. Secrets are masked. It changes nothing.

    Exit status: 0, or 1 if a check fails.

    Example: `./tunery doctor --json`
    """
    filled = context.obj if isinstance(context.obj, Filled) else Filled()
    report = _report(filled)
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _print(report, show_all=show_all)
    if report["status"] == "fail":
        raise typer.Exit(1)


def _report(filled: Filled) -> dict[str, Any]:
    from cli.doctor import database, services, settings_report, versions
    from cli.doctor.result import Status, run

    results = run({"settings": partial(settings_report.check, filled)}, SECONDS_FOR_CHECKS)
    others = {"database": database.check, "broker": services.broker, "storage": services.storage}
    others |= {"provider": services.provider, "metrics": partial(services.metrics, filled)}
    if any(result.status is Status.FAIL for result in results):
        others = {}  # they need the settings
    results += run({**others, "versions": versions.check}, SECONDS_FOR_CHECKS)
    found = {result.status for result in results}
    worst = next(status for status in (Status.FAIL, Status.WARN, Status.OK) if status in found)
    return {
        "status": worst,
        "checks": [dataclasses.asdict(result) for result in results],
        "settings": [row._asdict() for row in settings_report.table(filled)],
    }


def _print(report: dict[str, Any], *, show_all: bool) -> None:
    console = screen()
    for row in report["settings"]:
        if show_all or row["source"] != "default":
            console.print(f"{row['name']}={printable(row['value'])}", f"  ({row['source']})", markup=False, sep="")
    hidden = sum(row["source"] == "default" for row in report["settings"])
    if hidden and not show_all:
        console.print(f"{hidden} more have their defaults: --all shows them.", style="dim")
    console.print()
    for each in report["checks"]:
        console.print(f"{each['status']:5}", style=COLOURS[each["status"]], end="")
        console.print(f"{each['check']}: {printable(each['found']).rstrip('.')}.", markup=False)
        if each["advice"]:
            console.print(f"     {each['advice']}", markup=False)
