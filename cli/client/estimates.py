"""What a training will cost: of a file of this machine by its own check, of a file of the server by the server."""

import shlex
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cli.api_client import Found, get, path
from cli.client.arguments import local_file
from cli.client.file_requests import refusal_of, until_checked
from cli.client.output import money, print_document
from cli.client.server import NO_SUCH_ROUTE, connected, tunerys_own
from cli.columns import printable, say
from cli.failure import Failure

if TYPE_CHECKING:  # the import takes half a second
    from openai import OpenAI

    from shared.datasets.validation.findings.report import Report

PATIENCE = 300.0  # seconds in which the server counts tokens in the model's encoding
POLL_SECONDS = 0.5
SHOWN = 10  # lines about a file that is refused
LOCAL = "For a file of this machine there is one everywhere: ./tunery datasets estimate FILE --model …"


def estimate(named: str, model: str, method: str | None, epochs: int | None, *, as_json: bool) -> None:
    """Prints the price of a file that is named by its path here or by its id there."""
    local = local_file(named)
    if local:
        found = of_local_file(local, model, method, epochs)
    else:
        with connected() as client:
            file = client.files.retrieve(named).to_dict()
            with tunerys_own("estimate of a file", LOCAL):
                found = _asked(client, file, model, method, epochs)
    show(found, as_json=as_json)


def show(found: Found, *, as_json: bool) -> None:
    if as_json:
        print_document(found)
        return
    print(sentence(found))
    for assumption in found["assumptions"]:
        print(f"  {printable(assumption)}.")


def sentence(found: Found) -> str:
    """The price on the first line, what it is the price of on the second."""
    if found["amount"] is None:
        return f"The price is not known.\n  {printable(found['reason'] or '').removesuffix('.')}."
    chosen = " (as the provider will probably choose)" if found["epochs_chosen_by"] == "auto" else ""
    epochs = f"{found['epochs']} epoch{'' if found['epochs'] == 1 else 's'}"
    return (
        f"{money(found['amount'], found['currency'])}:\n  {found['billed_tokens']:,} tokens in {epochs}{chosen}, "
        f"{found['price_per_million_tokens']} {found['currency']} per million."
    )


def of_local_file(file: Path, model: str, method: str | None, epochs: int | None) -> Found:
    """The fields of the API's estimate. Raises `Failure` as `checked` does."""
    from shared.datasets.pricing.estimate import estimate as price

    found: Found = msgspec.to_builtins(price(checked(file, model, method), model, method, epochs))
    return {"object": "dataset.estimate", "id": str(file), **found}


def checked(file: Path, model: str | None, method: str | None) -> "Report":
    """Raises `Failure` if the file cannot be trained on, and says its first errors."""
    from cli.datasets.report import check_with_progress, problem_lines

    report = check_with_progress(file, model, method, "openai", True)
    if not report.valid:
        for line in islice(problem_lines(report.errors, {}, str(file)), SHOWN):
            say(printable(line))
        more = (f" --model {model}" if model else "") + (f" --method {method}" if method else "")
        raise Failure(
            f"{file} cannot be trained on: it has {report.n_errors:,} error{'' if report.n_errors == 1 else 's'}. "
            f"The whole report: ./tunery datasets check {shlex.quote(str(file))}{more}"
        )
    return report


def of_servers_file(client: "OpenAI", file_id: str, model: str, method: str | None, epochs: int | None) -> Found | None:
    """None on a server that has no estimates. Raises `Failure` if the server cannot train on the file."""
    from openai import APIStatusError

    file = client.files.retrieve(file_id).to_dict()
    try:
        return _asked(client, file, model, method, epochs)
    except APIStatusError as error:
        if error.status_code in NO_SUCH_ROUTE:
            return None
        raise


def _asked(client: "OpenAI", file: Found, model: str, method: str | None, epochs: int | None) -> Found:
    """Repeats the request while the server counts tokens."""
    from openai import BadRequestError

    file = until_checked(client, file)
    if file["status"] == "error":
        raise Failure(refusal_of(file))
    given = {"model": model, "method": method, "n_epochs": epochs}
    params = {name: value for name, value in given.items() if value is not None}
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            found: Any = get(client, path("datasets", file["id"], "estimate"), params)
        except BadRequestError as error:
            if error.code != "dataset_not_checked" or time.monotonic() > deadline:
                raise
        else:
            is_counting = found["amount"] is None and "being counted" in (found["reason"] or "")
            if not is_counting or time.monotonic() > deadline:
                return dict(found)
        time.sleep(POLL_SECONDS)
