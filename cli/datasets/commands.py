"""`tunery datasets`: check a file without a server, and make chat lines of other files."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Training data, checked and converted on this machine; nothing is sent.", no_args_is_help=True)

DATA_IS_INVALID = 3
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, show_default=False)]


class Method(StrEnum):
    SUPERVISED = "supervised"
    DPO = "dpo"
    REINFORCEMENT = "reinforcement"


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


@app.command()
def check(
    file: File,
    model: Annotated[
        str | None, typer.Option(help="The base to train: for its limits, its tokens and its price.")
    ] = None,
    method: Annotated[Method | None, typer.Option(help="How it will be trained.")] = None,
    provider: Annotated[str, typer.Option(help="Whose rules and prices.")] = "openai",
    format: Annotated[Format, typer.Option(help="JSON is for programs; its fields are stable.")] = Format.TEXT,
    tokens: Annotated[
        bool, typer.Option("--tokens/--no-tokens", help="Count tokens: most of the time goes there.")
    ] = True,
) -> None:
    """Say everything that is wrong with a file, what is in it, and what training on it will cost.

    Exit status: 0 if it can be trained on, 3 if there are errors, 2 if the command itself is wrong.

    Examples: `tunery datasets check train.jsonl --model gpt-4o-mini`,
    `tunery datasets check train.jsonl --format json --no-tokens | jq .counts`
    """
    from cli.datasets import report as dataset_report

    report = dataset_report.check_with_progress(file, model, method, provider, tokens)
    if format is Format.JSON:
        dataset_report.print_json(report, model, method)
    else:
        dataset_report.print_text(report, file, model, method)
    if not report.valid:
        raise typer.Exit(DATA_IS_INVALID)


@app.command()
def convert(
    source: File,
    target: Annotated[Path | None, typer.Argument(help="Where to write; the terminal if left out.")] = None,
    system: Annotated[str | None, typer.Option(help="A system message for every example.")] = None,
) -> None:
    """Make chat lines of prompt/completion lines, or of a CSV file with such columns.

    The columns or keys are called prompt/completion, question/answer, input/output, instruction/response or
    user/assistant; a column `system` gives an example its own system message. No file is left if a line cannot be read.

    Exit status: 0 if all lines are converted, 3 if one cannot be.
    """
    from cli.datasets.convert import Unconvertible, convert_file

    try:
        examples = convert_file(source, target, system)
    except Unconvertible as error:
        print(f"{source}:{error.line}: {error}", file=sys.stderr)
        raise typer.Exit(DATA_IS_INVALID) from None
    if target:
        print(f"{examples:,} examples are in {target}. Next: tunery datasets check {target}", file=sys.stderr)
