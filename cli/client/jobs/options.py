"""The options of `tunery jobs create`: how each is named, read and explained."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.api_client import Found
from cli.client.arguments import Method


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


def pairs(given: list[str] | None) -> dict[str, str]:
    """Of texts such as `NAME=VALUE`."""
    parts = [each.partition("=") for each in given or []]
    if not all(name and equals for name, equals, _ in parts):
        raise typer.BadParameter("must be NAME=VALUE")
    return {name: value for name, _, value in parts}


def _checked_pairs(given: list[str] | None) -> list[str] | None:
    pairs(given)
    return given


def hyperparameters(named: dict[str, str | None], others: list[str] | None) -> Found:
    """Those that are given: numbers as JSON has them, another word, such as auto, as it is."""
    given = {**named, **pairs(others)}
    return {name: _number(value) for name, value in given.items() if value is not None}


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


File = Annotated[str | None, typer.Option("--file", "--training-file", "-f", help="A file here, or a file's id.")]
Validation = Annotated[str | None, typer.Option("--validation-file", help="A file here, or a file's id.")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="The base to train.")]
MethodOption = Annotated[Method | None, typer.Option("--method", help="supervised, if left out.")]
Epochs = Annotated[str | None, typer.Option("--epochs", "--n-epochs", metavar="NUMBER", help="A number, or auto.")]
Number = Annotated[str | None, typer.Option(metavar="NUMBER", help="A number, or auto.")]
LrMultiplier = Annotated[
    str | None, typer.Option("--lr-multiplier", metavar="NUMBER", help="Of the learning rate, or auto.")
]
Pairs = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", callback=_checked_pairs, help="Repeatable.")]
Others = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", callback=_checked_pairs, help="Any other, such as beta=0.1; repeatable."),
]
Grader = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The JSON of reinforcement's grader.")]
Suffix = Annotated[str | None, typer.Option(help="A part of the tuned model's name.")]
Seed = Annotated[int | None, typer.Option(min=0, help="For the same result again, as far as possible.")]
FromJob = Annotated[str | None, typer.Option(metavar="JOB_ID", help="As this one, but for what is given (Tunery).")]
PriorityOption = Annotated[Priority | None, typer.Option("--priority", help="Among the project's own jobs (Tunery).")]
DeployOnSuccess = Annotated[
    bool | None,
    typer.Option("--deploy/--no-deploy", help="Its model, when it succeeds, where that is needed (Tunery)."),
]
Estimate = Annotated[bool, typer.Option("--estimate", help="Say what it would cost, and start nothing.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it has ended; 3 unless it has succeeded.")]
