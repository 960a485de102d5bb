"""`tunery models`: lists, shows and deletes models of any server that speaks OpenAI's API."""

from typing import Annotated

import typer

from cli.client.arguments import AsJson, ModelName, Yes

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
