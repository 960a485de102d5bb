"""`tunery webhooks listen`: a line for each event, and what the address it was forwarded to answered."""

import json
from typing import Any

from openai import OpenAI
from rich.text import Text

from cli.api_client import project_client
from cli.columns import at, printable, say, screen
from cli.webhooks.follow import Following
from cli.webhooks.forward import Answer, Forwarder, signing_secret
from shared.webhooks.event_types import EventType

ID_WIDTH = 32  # of a job's


def print_secret() -> None:
    """It needs no server: it is made of the key alone."""
    with project_client() as client:
        print(signing_secret(client.api_key))


def listen(forward_to: str | None, wanted: list[EventType], is_full: bool, as_json: bool) -> None:
    """Without end, but for Ctrl-C."""
    with project_client() as client:
        forwarder = _forwarder(client, forward_to, is_full) if forward_to else None
        show = _JSONLines() if as_json else _Lines(wanted or list(EventType))
        for event in Following(client, say).events():
            if not wanted or event["type"] in wanted:
                show(event, forwarder.forward(event) if forwarder else None)


def _forwarder(client: OpenAI, url: str, is_full: bool) -> Forwarder:
    secret = signing_secret(client.api_key)
    say(f"Forwarding to {url}. Your receiver verifies with this secret, which stays the same for this API key:")
    say(f"export OPENAI_WEBHOOK_SECRET={secret}")
    return Forwarder(url, secret, is_full)


class _JSONLines:
    def __call__(self, event: dict[str, Any], answer: Answer | None) -> None:
        print(json.dumps({"event": event, "answer": vars(answer) if answer else None}), flush=True)


class _Lines:
    """Columns that do not move: time, type, object, status, duration, and what went wrong."""

    def __init__(self, types: list[EventType]) -> None:
        self._screen = screen()
        self._type_width = max(len(type) for type in types)

    def __call__(self, event: dict[str, Any], answer: Answer | None) -> None:
        line = Text(f"{at(event['created_at']):%H:%M:%S}  {event['type']:{self._type_width}}  ")
        line.append(printable(event["data"]["id"]).ljust(ID_WIDTH if answer else 0))
        if answer:
            line.append(f"  {answer.status or '–':>3}", style="red" if answer.error else "green")
            line.append(f"  {answer.duration_ms:5} ms", style="dim")
            line.append(f"  {printable(answer.error)}" if answer.error else "", style="red")
        self._screen.print(line)
