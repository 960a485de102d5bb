"""`tunery chat`: asks a model, or two beside each other."""

from typing import Annotated

import typer

from cli.client.arguments import AsJson, ModelName, as_name


def chat(
    model: ModelName,
    prompt: Annotated[
        str | None, typer.Argument(metavar="[PROMPT]", show_default=False, help="Standard input if left out.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told before the prompt.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(metavar="MODEL", callback=as_name, help="Ask this one too; base: the one it was tuned from."),
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2)] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="The longest answer.")] = None,
    json: AsJson = False,
) -> None:
    """Ask a model; the answer is shown as it comes. `--json` prints the API's answer when it is complete.

    Examples:

    `./tunery chat ft:gpt-4o-mini-2024-07-18:… "What is overfitting?" --compare base`

    `./tunery chat gpt-4o-mini --system "Answer in one sentence." < question.txt`
    """
    from cli.client.model_requests import chat

    chat(model, prompt, compare, {"system": system, "temperature": temperature, "max_tokens": max_tokens}, as_json=json)
