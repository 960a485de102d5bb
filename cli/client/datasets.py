"""`tunery datasets errors` and `estimate`: of a file of this machine, or of one that a server has."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from cli.api_client import Found, get, list_all, path
from cli.client.arguments import AsJson, Method, local_file
from cli.client.file_requests import until_checked
from cli.client.output import print_document
from cli.client.server import connected, tunerys_own
from cli.columns import say
from shared.datasets.validation.findings.codes import Severity
from shared.datasets.validation.findings.problem import Problem

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

DATA_IS_INVALID = 3
NO_ERRORS_THERE = "Download the file and check it here: ./tunery datasets check FILE"
File = Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="A file here, or a file's id.")]
MethodOption = Annotated[Method | None, typer.Option(help="How it will be trained.")]


def errors(
    file: File,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Of a file here: for this base's limits.")] = None,
    method: MethodOption = None,
    json: AsJson = False,
) -> None:
    """List what is wrong with a file, with line, path and what to do; also of a file that the server has, by its id.

    Exit status: 0 if it can be trained on, 3 if there are errors, 1 if it could not be asked for.

    Examples:

    `./tunery datasets errors train.jsonl`

    `./tunery datasets errors file-… --json | jq '.data[].line'`
    """
    from cli.datasets.report import check_with_progress, printable, problem_lines

    local = local_file(file)
    if local:
        report = check_with_progress(local, model, method, "openai", False)
        problems, counts = report.problems, report.counts
        data: list[Found] = [{"object": "dataset.problem", **msgspec.to_builtins(each)} for each in problems]
    else:
        with connected() as client:
            data, counts = _of_server(client, file)
        problems = msgspec.convert(data, list[Problem])
    if json:
        print_document({"object": "list", "data": data, "counts": counts})
    else:
        for line in problem_lines(problems, counts, file):
            print(printable(line))
    if any(each.severity is Severity.ERROR for each in problems):
        raise typer.Exit(DATA_IS_INVALID)
    say(f"{file} has {'warnings' if problems else 'no errors'}{', and can be trained on' if problems else ''}.")


def _of_server(client: "OpenAI", file_id: str) -> tuple[list[Found], dict[str, int]]:
    """The first 1,000 problems of a file, when the server has checked it, and how many there are by their codes."""
    until_checked(client, client.files.retrieve(file_id).to_dict())
    with tunerys_own("list of a file's errors", NO_ERRORS_THERE):
        counts: dict[str, int] = get(client, path("datasets", file_id))["counts"]
        return list(list_all(client, path("datasets", file_id, "errors"))), counts


def estimate(
    file: File,
    model: Annotated[str, typer.Option("--model", "-m", help="The base to train.")],
    method: MethodOption = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", "--n-epochs", min=1, max=50, help="The provider's choice if left out.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Say what a training will cost; also on a file that the server has, by its id.

    Examples:

    `./tunery datasets estimate train.jsonl --model gpt-4o-mini --epochs 2`

    `./tunery datasets estimate file-… --model gpt-4o-mini --json | jq -r .amount`
    """
    from cli.client.estimates import estimate

    estimate(file, model, method, epochs, as_json=json)
