"""`tunery models`: lists, shows, deletes and migrates models of any server that speaks OpenAI's API."""

from typing import Annotated

import typer

from cli.client.arguments import AsJson, ModelName, Yes, as_name

app = typer.Typer(help="Base models and tuned ones, of any server that speaks OpenAI's API.", no_args_is_help=True)


@app.command("list")
def list_models(
    tuned: Annotated[bool, typer.Option("--tuned", help="Only models that were tuned.")] = False, json: AsJson = False
) -> None:
    """Show the models, all of them: this list has no pages.

    Examples:

    `./tunery models list --tuned`

    `./tunery models list --json | jq -r '.data[].id'`
    """
    from cli.client.model_requests import list_models

    list_models(tuned=tuned, as_json=json)


@app.command()
def show(model: ModelName, json: AsJson = False) -> None:
    """Show a model.

    Example: `./tunery models show ft:gpt-4o-mini-2024-07-18:…`
    """
    from cli.client.model_requests import show

    show(model, as_json=json)


@app.command()
def delete(model: ModelName, yes: Yes = False, json: AsJson = False) -> None:
    """Delete a tuned model. There is no way back.

    Example: `./tunery models delete ft:gpt-4o-mini-2024-07-18:… -y`
    """
    from cli.client.model_requests import delete

    delete(model, yes=yes, as_json=json)


@app.command()
def migrate(
    base: Annotated[str, typer.Argument(metavar="BASE", show_default=False, callback=as_name, help="The old base.")],
    to: Annotated[str, typer.Option("--to", metavar="MODEL", callback=as_name, help="The base to train on instead.")],
    provider: Annotated[str | None, typer.Option(help="Where, if several of the project's accounts have it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what each job would cost and change.")] = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Run the jobs of all tuned models of a base again, on another base: each once, however often you say it.

    Each new job has `migrated_from` in its metadata. Exit status: 1 if a job cannot run there.

    Examples:

    `./tunery models migrate gpt-4.1-mini-2025-04-14 --to Qwen/Qwen3-8B --provider nebius --dry-run`
    """
    from cli.client.migration import migrate

    migrate(base, to, provider, dry_run=dry_run, yes=yes, as_json=json)
