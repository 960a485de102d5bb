"""`tunery datasets`: check a file without a server, and make chat lines of other files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Training data, checked and converted on this machine; no file is sent.", no_args_is_help=True)

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

    Examples: `./tunery datasets check train.jsonl --model gpt-4o-mini`,
    `./tunery datasets check train.jsonl --format json --no-tokens | jq .counts`
    """
    from cli.datasets import report as dataset_report

    report = dataset_report.check_with_progress(file, model, method, provider, tokens)
    if format is Format.JSON:
        dataset_report.print_json(report, model, method)
    else:
        dataset_report.print_text(report, file, model, method)
    if not report.valid:
        raise typer.Exit(DATA_IS_INVALID)


Target = Annotated[Path | None, typer.Argument(dir_okay=False, help="Where to write; the terminal if left out.")]
System = Annotated[str | None, typer.Option(help="A system message for every example without one.")]
Drop = Annotated[
    list[str] | None, typer.Option(help="A field to leave out, knowingly; may be repeated.", metavar="FIELD")
]
Rename = Annotated[
    list[str] | None, typer.Option(help="Read a field by a known name: --rename Customer=question.", metavar="OLD=NEW")
]
Role = Annotated[list[str] | None, typer.Option(help="What a role means: --role agent=assistant.", metavar="OLD=NEW")]
Rows = Annotated[str | None, typer.Option(help="The key that holds the rows, if several do.", metavar="KEY")]
Encoding = Annotated[str | None, typer.Option(help="The file's encoding, if it is not recognised.")]
SkipInvalid = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out rows that cannot be converted, and write the others.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse the file if a field would be lost that --drop does not name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Say what happened as one JSON object.")]


@app.command()
def convert(
    source: File,
    target: Target = None,
    system: System = None,
    drop: Drop = None,
    rename: Rename = None,
    role: Role = None,
    rows: Rows = None,
    encoding: Encoding = None,
    skip_invalid: SkipInvalid = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make JSON lines that can be trained on of what you have: chats, questions and answers, preferences, tables.

    Reads JSON lines, arrays, pretty-printed objects and CSV; Alpaca, ShareGPT, prompt/completion, question/answer and
    prompt/chosen/rejected. Says on standard error how many rows came in and went out, and what was left out or lost.
    The target is written only if all went well, and is then checked. All shapes: docs/datasets.md.

    Exit status: 0 if the target is written, 3 if the data cannot be converted, 2 if the command itself is wrong.

    Examples: `./tunery datasets convert alpaca.json train.jsonl`,
    `./tunery datasets convert faq.csv train.jsonl --rename Customer=question --rename Agent=answer --drop Id`
    """
    from cli.datasets.conversion_command import run

    options = {"system": system, "drop": drop, "rename": rename, "role": role, "rows": rows, "encoding": encoding}
    if not run(source, target, options, skip_invalid=skip_invalid, strict=strict, as_json=as_json):
        raise typer.Exit(DATA_IS_INVALID)
