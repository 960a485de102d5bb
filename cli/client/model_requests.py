"""What `tunery models` and `tunery chat` ask of the server, by the official SDK."""

import sys
from typing import TYPE_CHECKING, Any

from cli.api_client import Found
from cli.client.arguments import agree
from cli.client.output import NONE, print_document, print_fields, short_time
from cli.client.pages import take
from cli.client.server import connected
from cli.columns import print_table, say
from cli.failure import Failure
from cli.local.screen import Screen

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

TUNED, OF_A_PROJECT = "ft:", "proj_"


def list_models(*, tuned: bool, as_json: bool) -> None:
    with connected() as client:
        models, _ = take(client.models.list(), 0, all=True)
    models = [model for model in models if not tuned or _is_tuned(model)]
    if as_json:
        print_document({"object": "list", "data": models})
    elif models:
        print_table(("CREATED", "ENDS", "PROVIDER", "MODEL"), [_row(model) for model in models])
    else:
        say("There are no tuned models yet: one comes of each job that succeeds.")


def _row(model: Found) -> list[str]:
    providers = ", ".join(model.get("providers") or []) or NONE
    return [short_time(model.get("created") or None), _end(model) or NONE, providers, model["id"]]


def _is_tuned(model: Found) -> bool:
    """By its name at OpenAI. Other providers name theirs differently, but Tunery says whose they are."""
    return bool(model["id"].startswith(TUNED) or str(model.get("owned_by")).startswith(OF_A_PROJECT))


def _end(model: Found) -> str | None:
    return model.get("shutdown_date")


def show(name: str, *, as_json: bool) -> None:
    with connected() as client:
        model: Found = client.models.retrieve(name).to_dict()
    if as_json:
        print_document(model)
        return
    created = short_time(model.get("created") or None)
    fields = [("model", model["id"]), ("owner", model.get("owned_by")), ("created", created)]
    print_fields([*fields, ("ends", _end(model)), ("provider", ", ".join(model.get("providers") or []))])


def delete(name: str, *, yes: bool, as_json: bool) -> None:
    with connected() as client:
        client.models.retrieve(name)
        agree(f"Delete {name} for good?", yes=yes)
        deleted = client.models.delete(name).to_dict()
    if as_json:
        print_document(deleted)
    else:
        print(f"{name} is deleted.")


def chat(model: str, prompt: str | None, compare: str | None, options: Found, *, as_json: bool) -> None:
    """Prints the answer as it comes; with `compare` the answers of both models when both are there."""
    system = options.pop("system")
    question = _question(prompt)
    messages: list[Any] = [{"role": "user", "content": question}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    asked = {"messages": messages, **{name: value for name, value in options.items() if value is not None}}
    with connected() as client:
        if compare:
            _ask_both(client, [_base(client, model) if compare == "base" else compare, model], asked, as_json=as_json)
        elif as_json:
            print_document(client.chat.completions.create(model=model, **asked).to_dict())
        else:
            _stream(client, model, asked)


def _question(prompt: str | None) -> str:
    if prompt is None:
        if sys.stdin.isatty():
            say("What do you ask? Ctrl-D ends it.")
        try:
            prompt = sys.stdin.read()
        except UnicodeDecodeError:
            raise Failure("What was piped in is not text in UTF-8, which the server needs.") from None
    if not prompt.strip():
        raise Failure("There is nothing to ask: give a prompt, or pipe one in.")
    return prompt


def _stream(client: "OpenAI", model: str, asked: Found) -> None:
    with client.chat.completions.create(model=model, stream=True, **asked) as chunks:
        for chunk in chunks:
            for choice in chunk.choices[:1]:
                print(_safe(choice.delta.content or ""), end="", flush=True)
    print()


def _ask_both(client: "OpenAI", models: list[str], asked: Found, *, as_json: bool) -> None:
    completions = {model: client.chat.completions.create(model=model, **asked) for model in models}
    if as_json:
        print_document({"object": "list", "data": [each.to_dict() for each in completions.values()]})
        return
    answers = {model: each.choices[0].message.content or "" for model, each in completions.items()}
    Screen(sys.stdout).side_by_side(
        asked["messages"][-1]["content"].strip(), {model: _safe(answer) for model, answer in answers.items()}
    )


def _base(client: "OpenAI", model: str) -> str:
    """The model that a tuned one was made of: its name has it, or the job that made it."""
    parts = model.split(":")
    if len(parts) > 2 and model.startswith(TUNED):
        return parts[1]
    for job in client.fine_tuning.jobs.list(limit=100):
        if job.fine_tuned_model == model:
            return job.model
    raise Failure(f"The base of {model} is not known. Name the model to compare with: --compare MODEL")


def _safe(text: str) -> str:
    """An answer's lines and tabs; what else would steer the terminal is replaced."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
