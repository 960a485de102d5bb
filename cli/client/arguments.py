"""The arguments and options that several client commands share."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.columns import say
from cli.failure import Failure

DATA_SUFFIXES = {".jsonl", ".json", ".csv", ".txt", ".parquet", ".xlsx", ".gz", ".zip"}


class Method(StrEnum):
    SUPERVISED = "supervised"
    DPO = "dpo"
    REINFORCEMENT = "reinforcement"


def as_id(value: str | None) -> str | None:
    """What cannot be an id would be another path of the API."""
    if value is not None and (not value.strip() or any(c in "/?#%" or c.isspace() for c in value)):
        raise typer.BadParameter("is no id")
    return value


def as_name(value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise typer.BadParameter("must not be empty")
    return value


FileId = Annotated[str, typer.Argument(metavar="FILE_ID", show_default=False, callback=as_id, help="Such as file-…")]
JobId = Annotated[str, typer.Argument(metavar="JOB_ID", show_default=False, callback=as_id, help="Such as ftjob-…")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", show_default=False, callback=as_name, help="Its name.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: the API's own fields, on standard output.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Target = Annotated[
    Path | None, typer.Argument(dir_okay=False, help="Where to write; standard output if left out.", show_default=False)
]


def local_file(named: str) -> Path | None:
    """The file that is named, or None if it is an id. Raises `Failure` for a path at which there is no file."""
    path = Path(named)
    if path.is_file():
        if not os.access(path, os.R_OK):
            raise Failure(f"{named} may not be read by you.")
        return path
    if path.is_dir():
        raise Failure(f"{named} is a folder, not a file.")
    if "/" in named or path.suffix.lower() in DATA_SUFFIXES:
        raise Failure(f"There is no file {named} here. A file that the server has is named by its id, such as file-…")
    return None


def agree(question: str, *, yes: bool) -> None:
    """Returns if it was agreed to. Raises `Failure` if not, and if nobody was there to be asked."""
    if yes:
        return
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # standard output is for data alone
    answer = sys.stdin.readline()
    if not answer:
        say("")
        raise Failure("There was no answer, so nothing was done. Say -y to go on without being asked.")
    if answer.strip().lower() not in ("y", "yes"):
        raise Failure("Nothing was done.")
