"""`tunery models migrate`: the jobs of a base that will stop run again, each once, on another base."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import typer

from cli.api_client import Found, get, path, post
from cli.client.arguments import agree
from cli.client.output import NONE, money, print_document, print_fitting
from cli.client.server import connected, tunerys_own
from cli.columns import say
from cli.failure import Failure

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

MARK = "migrated_from"  # in the metadata of the new job, so that a second run leaves it alone
MANUALLY = "Create a job anew: ./tunery jobs create"
SNAPSHOT_DAY = re.compile(r"-\d{4}-\d{2}-\d{2}$")
DEAD = {"failed", "cancelled"}


@dataclass(frozen=True)
class Move:
    """A job that made a model on the old base, and its alternative on the new one; None if the server has none."""

    job: Found
    alternative: Found | None

    @property
    def refusal(self) -> str | None:
        if self.alternative is None:
            return "the project cannot tune this base there: ./tunery models list"
        problems = [each["message"] for each in self.alternative["problems"] if each["severity"] == "error"]
        return problems[0] if problems else None


def migrate(base: str, to: str, provider: str | None, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Prints what each job would cost and change, asks, and creates them. Exits with 1 if one cannot be."""
    if base == to:
        raise Failure(f"{base} is where the models are: name another base with --to.")
    with connected() as client:
        moves = [Move(job, _alternative(client, job, to, provider)) for job in _to_be_moved(client, base)]
        if not moves:
            say(f"There is no model of {base} that has not been migrated yet.")
        good = [move for move in moves if move.refusal is None]
        if not as_json and moves:
            print_fitting(("JOB", "COST", "ON THE NEW BASE"), [_row(move) for move in moves])
        made: list[Found] = []
        if good and not dry_run:
            agree(f"Run {_jobs(len(good))} on {to}, for {_total(good)}?", yes=yes)
            made = list(_run(client, good))
    if as_json:
        print_document({"object": "list", "data": [_shown(move) for move in moves] if dry_run else made})
    if len(good) < len(moves) or (not dry_run and len(made) < len(good)):
        raise typer.Exit(1)


def _to_be_moved(client: "OpenAI", base: str) -> list[Found]:
    """The newest job of each model that is still there, unless a job that runs or has succeeded took it over."""
    alive = {model.id for model in client.models.list()}
    jobs: list[Found] = [each.to_dict() for each in client.fine_tuning.jobs.list(limit=100)]
    moved = {(job.get("metadata") or {}).get(MARK) for job in jobs if job["status"] not in DEAD}
    return [
        job
        for job in jobs
        if job["status"] == "succeeded"
        and job["fine_tuned_model"] in alive
        and job["id"] not in moved
        and base in _names_of_base(job["model"])
    ]


def _names_of_base(model: str) -> set[str]:
    """The base of a model, tuned or not, with the day of its snapshot and without."""
    from shared.datasets.validation.rules.limits import first_base

    base = first_base(model)
    return {base, SNAPSHOT_DAY.sub("", base)}


def _alternative(client: "OpenAI", job: Found, to: str, provider: str | None) -> Found | None:
    with tunerys_own("alternatives of a job", MANUALLY):
        listed: Iterable[Any] = get(client, path("fine_tuning", "jobs", job["id"], "alternatives"))["data"]
    return next((each for each in listed if each["model"] == to and provider in (None, each["provider"])), None)


def _run(client: "OpenAI", moves: list[Move]) -> Iterator[Found]:
    from openai import APIStatusError

    for move in moves:
        assert move.alternative is not None
        metadata = {**(move.job.get("metadata") or {}), MARK: move.job["id"]}
        try:
            made = post(client, "/fine_tuning/jobs", {**move.alternative["request"], "metadata": metadata})
        except APIStatusError as error:
            if error.status_code not in (400, 404):  # any other refusal would meet the next one, too
                raise
            say(f"{move.job['id']} was refused: {error.message}")
            continue
        say(f"{move.job['id']} runs again as {made['id']}.")
        yield dict(made)


def _row(move: Move) -> list[str]:
    if move.refusal is not None or move.alternative is None:
        return [move.job["id"], NONE, f"refused: {move.refusal}"]
    changes = "; ".join(move.alternative["changes"]) or "nothing changes"
    return [move.job["id"], _price(move.alternative["estimated_cost"]), changes]


def _shown(move: Move) -> Found:
    return {"job": move.job["id"], "alternative": move.alternative, "refused": move.refusal}


def _price(cost: Found | None) -> str:
    return money(cost["amount"], cost["currency"]) if cost else NONE


def _total(moves: list[Move]) -> str:
    known = [move.alternative["estimated_cost"] for move in moves if move.alternative]
    total = sum((Decimal(cost["amount"]) for cost in known if cost), Decimal(0))
    priced = [cost for cost in known if cost]
    if not priced:
        return "a price that is not known"
    more = "" if len(priced) == len(moves) else " and what those without a price cost"
    return f"about {money(str(total), priced[0]['currency'])}{more}"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
