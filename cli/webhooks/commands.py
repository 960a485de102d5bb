"""`tunery webhooks`: receive a project's events on a laptop, try receivers out, see what was sent, and mend it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import typer

from shared.webhooks.event_types import EventType

app = typer.Typer(
    help="Webhooks as a client sees them: OPENAI_BASE_URL and OPENAI_API_KEY say where, and for which project.",
    no_args_is_help=True,
)


class Status(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def _with_scheme(address: str | None) -> str | None:
    """`localhost:3000/hook` is meant as http."""
    if address is None:
        return None
    url = address if "://" in address else f"http://{address}"
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise typer.BadParameter("must be an address such as http://localhost:3000/hook")
    return url


def _epoch(time: datetime | None) -> int | None:
    """A time without a zone is of this machine's."""
    return None if time is None else int(time.timestamp())


Type = Annotated[EventType, typer.Argument(metavar="TYPE", show_default=False, help="Such as dataset.processed.")]
Types = Annotated[
    list[EventType] | None, typer.Option("--events", metavar="TYPE", help="Only these; repeat it for several.")
]
Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", show_default=False, help="Its id: we_…")]
AsJSON = Annotated[bool, typer.Option("--json", help="For programs; its fields are the API's, and stable.")]
Full = Annotated[bool, typer.Option("--full", help="The whole object in OpenAI's own events too, not its id alone.")]
OPENAIS = [type for type in EventType if type.is_thin]


@app.command()
def listen(
    forward_to: Annotated[
        str | None, typer.Option(callback=_with_scheme, metavar="URL", help="Where your receiver listens.")
    ] = None,
    events: Types = None,
    full: Full = False,
    print_secret: Annotated[
        bool, typer.Option("--print-secret", help="Print the secret that it signs with, and end.")
    ] = False,
    json: AsJSON = False,
) -> None:
    """Follow the project's events, and forward each to an address of yours, signed as a delivery would be.

    The secret is made of your API key, so it stays the same. An event is forwarded once, whatever is answered. When
    the server goes away, what happens meanwhile comes when it is back. Ctrl-C stops it.

    Examples: `./tunery webhooks listen --forward-to http://localhost:3000/hook`,
    `export OPENAI_WEBHOOK_SECRET=$(tunery webhooks listen --print-secret)`
    """
    from cli.webhooks import listen as webhook_listener

    if print_secret:
        webhook_listener.print_secret()
    else:
        webhook_listener.listen(forward_to, events or [], full, json)


@app.command()
def trigger(
    type: Type,
    endpoint: Annotated[str | None, typer.Option(metavar="ENDPOINT", help="Send it to this one: we_…")] = None,
    json: AsJSON = False,
) -> None:
    """Make a sample event for those who listen; with an endpoint, send it there and tell what was answered.

    Exit status: 0 if it was made, or answered with 2xx; 1 if it was not.

    Examples: `./tunery webhooks trigger fine_tuning.job.succeeded`,
    `./tunery webhooks trigger dataset.failed --endpoint we_…`
    """
    from cli.webhooks.requests import trigger

    trigger(type, endpoint, json)


@app.command()
def deliveries(
    endpoint: Annotated[
        str | None, typer.Argument(metavar="[ENDPOINT]", show_default=False, help="All of the project, if left out.")
    ] = None,
    status: Annotated[Status | None, typer.Option(help="How it stands.")] = None,
    type: Annotated[EventType | None, typer.Option(metavar="TYPE", help="Of which event.")] = None,
    object: Annotated[str | None, typer.Option(metavar="ID", help="Of what happened to this: ftjob-…")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many, the newest.")] = 20,
    json: AsJSON = False,
) -> None:
    """Show what was sent, when, and what was answered, the newest first. `--json` has each attempt.

    Examples: `./tunery webhooks deliveries --status failed`, `./tunery webhooks deliveries --object ftjob-…`
    """
    from cli.webhooks.requests import show_deliveries

    show_deliveries(endpoint, {"status": status, "type": type, "object": object}, limit, json)


@app.command()
def redeliver(
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", show_default=False, help="Its id: wh_…")],
    json: AsJSON = False,
) -> None:
    """Send a delivery again, under the same id, also one that succeeded."""
    from cli.webhooks.requests import redeliver

    redeliver(delivery, json)


@app.command("list")
def list_endpoints(json: AsJSON = False) -> None:
    """Show the project's endpoints, and which of them fail, are paused or are disabled."""
    from cli.webhooks.requests import show_endpoints

    show_endpoints(json)


@app.command()
def create(
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False, help="A public https address.")],
    name: Annotated[str, typer.Option(help="What you call it.")] = "receiver",
    events: Types = None,
    full: Full = False,
    json: AsJSON = False,
) -> None:
    """Make an endpoint, and print its signing secret, which is never shown again.

    Without `--events` it is told how jobs end, as OpenAI tells it.
    """
    from cli.webhooks.requests import create

    create(url, name, [*(events or OPENAIS)], full, json)


@app.command()
def rotate(
    endpoint: Endpoint,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Sign with the old secret too, for 24 hours.")] = False,
    json: AsJSON = False,
) -> None:
    """Give an endpoint a new signing secret, and print it; it is never shown again."""
    from cli.webhooks.requests import rotate

    rotate(endpoint, keep_old, json)


@app.command()
def recover(
    endpoint: Endpoint,
    since: Annotated[
        datetime | None, typer.Option(help="From when on; if left out, from when it began to miss.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="Until when; if left out, until now.")] = None,
    json: AsJSON = False,
) -> None:
    """Deliver what an endpoint has missed: the events that it wants and has not answered with 2xx."""
    from cli.webhooks.requests import recover

    recover(endpoint, _epoch(since), _epoch(until), json)
